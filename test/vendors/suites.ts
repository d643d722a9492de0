/** Selection of the vendors' own tests: the endpoints that a gateway serves. */

/** Tests of one file. */
export interface SuiteFile {
  /** Below the SDK's folder. */
  readonly path: string;
  /** For pytest's `-k`: leaves out what no gateway serves, such as stored answers. */
  readonly only: string;
}

/** The tests of one vendor's SDK for Python. */
export interface Suite {
  readonly sdk: "openai" | "anthropic";
  /** The variable that names the folder with the SDK's sources. */
  readonly folder: "OPENAI_PYTHON" | "ANTHROPIC_PYTHON";
  /** Path of the SDK's base URL. */
  readonly base: string;
  /** Packages that the tests need beside the SDK, as pip names them. */
  readonly packages: readonly string[];
  readonly files: readonly SuiteFile[];
}

const COMMON = [
  "pytest==9.2.0",
  "pytest-asyncio==1.5.0",
  "pytest-xdist==3.8.0",
  "rich==15.0.0",
  "inline-snapshot==0.36.1",
  "respx==0.23.1",
  "httpx-aiohttp==0.2.0",
  "dirty-equals==0.11",
];

const CREATE = "create";

export const SUITES: readonly Suite[] = [
  {
    sdk: "openai",
    folder: "OPENAI_PYTHON",
    base: "/v1",
    packages: COMMON,
    files: [
      { path: "tests/api_resources/chat/test_completions.py", only: CREATE },
      { path: "tests/api_resources/test_completions.py", only: CREATE },
      { path: "tests/api_resources/test_embeddings.py", only: CREATE },
      { path: "tests/api_resources/test_responses.py", only: CREATE },
      { path: "tests/api_resources/test_models.py", only: "retrieve or list" },
      { path: "tests/api_resources/test_moderations.py", only: CREATE },
      { path: "tests/api_resources/test_images.py", only: "generate or edit or variation" },
      { path: "tests/api_resources/audio/test_speech.py", only: CREATE },
      { path: "tests/api_resources/audio/test_transcriptions.py", only: CREATE },
      { path: "tests/api_resources/audio/test_translations.py", only: CREATE },
    ],
  },
  {
    sdk: "anthropic",
    folder: "ANTHROPIC_PYTHON",
    base: "",
    packages: [...COMMON, "http-snapshot==0.1.9", "time-machine==3.6.0"],
    files: [
      { path: "tests/api_resources/test_messages.py", only: "create or count_tokens" },
      { path: "tests/api_resources/test_models.py", only: "retrieve or list" },
      { path: "tests/api_resources/beta/test_messages.py", only: "create or count_tokens" },
      { path: "tests/api_resources/beta/test_models.py", only: "retrieve or list" },
    ],
  },
];
