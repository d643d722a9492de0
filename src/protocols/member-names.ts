import { invalidRequest } from "./fields.ts";
import { type MemberLimits, type MemberRules, type MemberScan, scanMembers } from "../wire/member-scan.ts";

/**
 * Names of members that servers read, each with exactly one spelling. A backend also reads a body that is passed
 * through, and may accept `Stream` for `stream`. Gateway and backend must read the same value.
 */

function namesOf(text: string): string[] {
  return text.split(/\s+/);
}

/** Members that this gateway reads, in any dialect and at any level. */
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
   status author recipient tool display_width_px display_height_px enable_zoom
   allowed_callers allowed_tools audio citations clear_at include input_examples output_format task_budget tool_changes`,
);

/** Objects with the client's own members: schemas, arguments, maps. There `id` and `ID` are two names. */
const FREE = namesOf(
  `arguments input parameters input_schema schema format properties patternProperties $defs definitions metadata
   logit_bias chat_template_kwargs files adapters guided_json structured_outputs extra_body
   action operation env client_metadata documents
   headers variables attributes dependentRequired dependentSchemas dependencies extra_headers extra_query
   mm_processor_kwargs media_io_kwargs vllm_xargs kv_transfer_params extra_args custom_params provider_options`,
);

/** Lists of such objects, such as documents to rank. */
const FREE_LISTS = namesOf("documents");

export const MEMBER_RULES: MemberRules = {
  known: new Set(READ),
  free: new Set(FREE),
  freeLists: new Set(FREE_LISTS),
};

/**
 * Checks the member names of a request's body, parsed or not. Throws `invalid_request` for a repeated name and for a
 * known name in another spelling. Outside of the client's own objects names that differ by case are repeated.
 */
export function checkMembers(body: Buffer, limits: MemberLimits = {}): MemberScan {
  const scan = scanMembers(body, MEMBER_RULES, limits);
  const { fault } = scan;
  if (fault === undefined) return scan;
  const name = JSON.stringify(fault.name);
  if (fault.kind === "respelt")
    throw invalidRequest(`the member ${name} must be written ${JSON.stringify(fault.plain)}`);
  throw invalidRequest(`the member ${name} comes twice in one object: servers differ in which one they read`);
}
