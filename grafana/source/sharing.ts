import type { Dashboard } from "./panel.ts";
import { once, rate } from "./promql.ts";

const TENANT = '{tenant=~"$tenant"}';
/** Tokens of the budgets: the cached ones are a part of the input. */
const COUNTED = '{tenant=~"$tenant", type=~"input|output"}';

/** Requests that got no whole answer and whose client stayed. */
const FAILED = '{tenant=~"$tenant", code!~"ok|cancelled|slow_client"}';
/** Refusals by a limit of a key or tenant. */
const LIMITED = '{tenant=~"$tenant", code=~"rate_limited|concurrency_limited|budget_exceeded"}';

/** The use of each tenant, tenants at a limit, and the cost of limits. */
export const SHARING: Dashboard = {
  uid: "sgnet-sharing",
  title: "Stargazer / Keys and tenants",
  description: "Who uses what? Which tenant is at a limit, and which budget ends? Empty without keys.",
  variables: [{ name: "tenant", label: "Tenant", of: ["sgnet_tenant_requests_total", "tenant"] }],
  rows: [
    {
      title: "Who uses what?",
      panels: [
        {
          title: "Tokens by tenant",
          description: "Input and output tokens per second, as backends count them. `other`: small tenants.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tenant_tokens_total", COUNTED, "tenant"), legend: "{{tenant}}" }],
        },
        {
          title: "Tokens by type",
          description: "Input, output, and the part of the input that backends had in their cache.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 12,
          queries: [{ expr: rate("sgnet_tenant_tokens_total", TENANT, "type"), legend: "{{type}}" }],
        },
        {
          title: "Requests by tenant",
          description: "Ended requests per second. Refused ones are not in it.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tenant_requests_total", TENANT, "tenant"), legend: "{{tenant}}" }],
        },
        {
          title: "Requests without an answer, by tenant",
          description: "Ended requests with an error, but for requests whose client left.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tenant_requests_total", FAILED, "tenant"), legend: "{{tenant}}" }],
        },
      ],
    },
    {
      title: "Who is at a limit?",
      panels: [
        {
          title: "Refused by a limit, by code",
          description:
            "`rate_limited`: requests or tokens per minute. `concurrency_limited`: open requests. `budget_exceeded`: tokens of a day or month. Refused requests cost no limit anything.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tenant_refusals_total", LIMITED, "code"), legend: "{{code}}" }],
        },
        {
          title: "Refused by a limit, by tenant",
          description:
            "A tenant with many of these needs higher limits, or a client that obeys `Retry-After`.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tenant_refusals_total", LIMITED, "tenant"), legend: "{{tenant}}" }],
        },
        {
          title: "Budgets",
          description: "Used share of each budget. Above 100 % a hard budget refuses requests.",
          kind: "timeseries",
          unit: "percentunit",
          width: 12,
          limits: [0.9, 1],
          queries: [
            {
              expr: once("sgnet_budget_used_ratio", "tenant, period", TENANT),
              legend: "{{tenant}}, {{period}}",
            },
          ],
        },
        {
          title: "Keys refused",
          description:
            "Requests with a wrong key: an old one, or an attempt to guess one. `limited`: above the bound of an address.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [
            {
              expr: rate("sgnet_wrong_keys_total", "", "answer"),
              legend: "{{answer}}",
            },
          ],
        },
      ],
    },
    {
      title: "What do the limits cost?",
      panels: [
        {
          title: "Calls to Redis for limits",
          description:
            "Calls of gateways for shares of rates. They are far fewer than requests with a limit.",
          kind: "timeseries",
          unit: "suffix: /s",
          width: 12,
          queries: [{ expr: rate("sgnet_slice_calls_total"), legend: "rates" }],
        },
      ],
    },
  ],
};
