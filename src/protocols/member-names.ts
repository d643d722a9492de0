import { refusal } from "./fields.ts";
import { type MemberLimits, type MemberRules, type MemberScan, scanMembers } from "../wire/members.ts";

/**
 * The names of a body that servers read, each in exactly one spelling. A body that is passed through is read by its
 * backend, too, and that may take `Stream` for `stream`: what the gateway read must be what the backend reads.
 */

function namesOf(text: string): string[] {
  return text.split(/\s+/);
}

/** Members that this gateway reads, in any dialect, at any place. */
const READ = namesOf(
  `model name stream stream_options include_usage n best_of echo prompt messages input instructions text
   suffix system template context raw images format keep_alive options think truncate shift logprobs top_logprobs
   dimensions encoding_format role content thinking reasoning reasoning_content reasoning_effort effort refusal tool_calls
   tool_call_id tool_name id type function function_call functions arguments call_id output summary tools tool_choice
   parallel_tool_calls parameters description strict schema json_schema response_format image_url url detail
   input_audio data max_tokens max_completion_tokens max_output_tokens temperature top_p top_k min_p typical_p
   seed stop presence_penalty frequency_penalty repetition_penalty repeat_penalty repeat_last_n modalities
   stop_sequences output_config mcp_servers source media_type tool_use_id is_error title input_schema
   disable_parallel_tool_use previous_response_id conversation background mode verbosity budget_tokens destination
   insecure verbose files adapters from digest quantize license num_predict
   namespace custom defer_loading execution syntax definition environment action operation outcome stdout stderr exit_code
   status author recipient tool display_width_px display_height_px enable_zoom`,
);

/** Objects whose members are the client's own: schemas, arguments, maps. There `id` and `ID` may stand together. */
const FREE = namesOf(
  `arguments input parameters input_schema schema format properties patternProperties $defs definitions metadata
   logit_bias chat_template_kwargs files adapters guided_json structured_outputs extra_body
   action operation env client_metadata documents
   headers variables attributes dependentRequired dependentSchemas dependencies extra_headers extra_query
   mm_processor_kwargs media_io_kwargs vllm_xargs kv_transfer_params extra_args custom_params provider_options`,
);

/** Lists of such objects: what is ranked, or written about, may have members of any name. */
const FREE_LISTS = namesOf("documents");

export const MEMBER_RULES: MemberRules = {
  known: new Set(READ),
  free: new Set(FREE),
  freeLists: new Set(FREE_LISTS),
};

/**
 * Looks at the member names of a request's body, before or after it is parsed. Throws `invalid_request` when an object
 * has a name twice (outside of the client's own objects also in other case), or a name that is read in another spelling.
 */
export function checkMembers(body: Buffer, limits: MemberLimits = {}): MemberScan {
  const scan = scanMembers(body, MEMBER_RULES, limits);
  const { odd } = scan;
  if (odd === undefined) return scan;
  const name = JSON.stringify(odd.name);
  if (odd.kind === "respelt")
    throw refusal(`the member ${name} must be written ${JSON.stringify(odd.plain)}`);
  throw refusal(`the member ${name} comes twice in one object: servers differ in which one they read`);
}
