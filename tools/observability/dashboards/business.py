"""What the platform is for: claims, cases, persons, and who may see them."""

from tools.observability.dashboards.sheet import HERE, WINDOW, Panel, Sheet, largest, panel, quantile, rate

_RPCS = "grpc_server_handled_total"


def _rpcs(job: str) -> tuple[Panel, Panel]:
    """What every service's own dashboard ends with."""
    of = f'job="{job}"'
    streams = 'grpc_method!~"Follow|Snapshot"'
    return (
        panel("RPCs", "By RPC and status.", "reqps",
              (largest(12, rate(_RPCS, "grpc_method, grpc_code", f"{of}, {streams}")), "{{grpc_method}} {{grpc_code}}")),
        panel("Slowest RPCs", "The 95th percentile.", "s",
              (largest(8, quantile(0.95, "grpc_server_handling_seconds", "grpc_method", f"{of}, {streams}")), "{{grpc_method}}")),
    )  # fmt: skip


def _lag(job: str) -> Panel:
    return panel("Feeds", "How far the service is behind what it follows.", "s",
                 (f'max by (source, feed) (nhip_feed_lag_seconds{{{HERE}, job="{job}"}})', "{{source}}/{{feed}}"))  # fmt: skip


CLAIMS = Sheet(
    "nhip-claims",
    "Claims",
    "Claims and what became of them.",
    (
        panel("Claims", "That came to a status, in a second.", "ops", (rate("nhip_claims_total", "status"), "{{status}}")),
        panel("Claims of the last day", "By the status that they came to.", "none",
              (f"sum by (status) (increase(nhip_claims_total{{{HERE}}}[1d]))", "{{status}}")),
        panel("Rejected", "Of claims decided within the last day, the share that was rejected.", "percentunit",
              (f'sum(increase(nhip_claims_total{{{HERE}, status="rejected"}}[1d])) /'
               f' (sum(increase(nhip_claims_total{{{HERE}, status=~"approved|rejected"}}[1d])) > 0)', "rejected")),
        _lag("claims"),
        *_rpcs("claims"),
    ),
)  # fmt: skip

SURVEILLANCE = Sheet(
    "nhip-surveillance",
    "Surveillance",
    "Cases and alerts of outbreaks. Counts by disease only; line lists are for those who may see them.",
    (
        panel("Cases of the last day", "Told anew or changed, by disease.", "none",
              (largest(12, f"sum by (disease) (increase(nhip_cases_total{{{HERE}}}[1d]))"), "{{disease}}")),
        panel("Cases by standing", "In a second.", "ops", (rate("nhip_cases_total", "status"), "{{status}}")),
        panel("Alerts of the last day", "Raised or lowered by the detectors.", "none",
              (f"sum by (disease) (increase(nhip_outbreak_alerts_total{{{HERE}}}[1d]))", "{{disease}}")),
        _lag("surveillance"),
        *_rpcs("surveillance"),
    ),
)  # fmt: skip

_BOUNDS = "{{dimension}} {{stratum}} {{bound}}"
INDEX = Sheet(
    "nhip-index",
    "Patient index",
    "Registrations, how well they are joined, and what waits for people.",
    (
        panel("Open reviews", "Pairs that wait for a decision.", "none",
              (f"max by (state) (nhip_reviews_open{{{HERE}}})", "{{state}}")),
        panel("Oldest review", "Its age.", "s", (f"max(nhip_review_oldest_seconds{{{HERE}}})", "oldest")),
        panel("Precision", "Of linked pairs, the share that is one person, with its interval.", "percentunit",
              (f'max by (dimension, stratum, bound) (nhip_linkage_precision{{{HERE}, dimension="all"}})', _BOUNDS)),
        panel("Recall", "Of pairs that are one person, the share that is linked, with its interval.", "percentunit",
              (f'max by (dimension, stratum, bound) (nhip_linkage_recall{{{HERE}, dimension="all"}})', _BOUNDS)),
        panel("Recall by group", "Where the index joins worse for some than for others.", "percentunit",
              (f'max by (dimension, stratum) (nhip_linkage_recall{{{HERE}, dimension!="all", bound="share"}})',
               "{{dimension}} {{stratum}}")),
        panel("Judged pairs", "On what the shares rest.", "none",
              (f"max by (dimension, stratum) (nhip_linkage_judged_pairs{{{HERE}}})", "{{dimension}} {{stratum}}")),
        *_rpcs("patient-index"),
        panel("Registrations", "By the RPC that brought them; a batch is one call.", "reqps",
              (rate(_RPCS, "grpc_method", 'job="patient-index", grpc_method=~"Register|BatchRegister|StreamRegistrations"'),
               "{{grpc_method}}")),
    ),
)  # fmt: skip

ACCESS = Sheet(
    "nhip-access",
    "Access and audit",
    "Who may not, what citizens decide, and whether the log is signed. Who it was, only the audit log knows.",
    (
        panel("Refusals by RPC", "PERMISSION_DENIED.", "reqps",
              (largest(10, rate(_RPCS, "job, grpc_method", 'grpc_code="PERMISSION_DENIED"')), "{{job}} {{grpc_method}}")),
        panel("Without a valid token", "UNAUTHENTICATED.", "reqps",
              (rate(_RPCS, "job", 'grpc_code="UNAUTHENTICATED"'), "{{job}}")),
        panel("Refusals against the day", "How many times the day's average; above 5 a ticket is written.", "none",
              (f"nhip:refusals:rate10m{{{HERE}}} / (avg_over_time(nhip:refusals:rate10m{{{HERE}}}[1d]) > 0)", "{{job}}")),
        panel("Decisions of citizens", "Of the last day.", "none",
              (f"sum by (decision) (increase(nhip_consents_total{{{HERE}}}[1d]))", "{{decision}}")),
        panel("Consent until enforced", "From the decision until records enforced it.", "s",
              (quantile(0.99, "nhip_consent_enforced_seconds", "namespace"), "p99")),
        panel("Entries signed", "That the newest checkpoint covers.", "none",
              (f"max(nhip_audit_signed_entries{{{HERE}}})", "signed")),
        panel("Accesses appended", "To the log, by the service that was accessed.", "ops",
              (rate("nhip_feed_changes_applied_total", "source", 'job="audit", feed="access"'), "{{source}}")),
        panel("Inconsistencies", "Times that the log did not extend its checkpoint: zero for ever.", "none",
              (f"sum(increase(nhip_audit_inconsistencies_total{{{HERE}}}[{WINDOW}]))", "refused to sign")),
        panel("Tokens", "Asked for, by outcome.", "reqps",
              (rate(_RPCS, "grpc_code", 'job="identity", grpc_method="IssueToken"'), "{{grpc_code}}")),
    ),
)  # fmt: skip

BUSINESS = (CLAIMS, SURVEILLANCE, INDEX, ACCESS)
