"""What travels, and what it rests on: databases, feeds, imports."""

from tools.observability.dashboards.sheet import HERE, WINDOW, Sheet, largest, panel, quantile, rate

_POOL = "on (namespace, job, instance)"
_FEED = "{{job}} ← {{source}}/{{feed}}"
_BY_FEED = "job, source, feed"

POSTGRESQL = Sheet(
    "nhip-postgresql",
    "PostgreSQL",
    "Databases as the services see them. What PostgreSQL tells of itself stands in its operator's dashboard.",
    (
        panel("Busy connections", "By replica.", "none",
              (f'nhip_database_connections{{{HERE}, state="busy"}}', "{{job}} {{instance}}")),
        panel("Idle connections", "By replica.", "none",
              (f'nhip_database_connections{{{HERE}, state="idle"}}', "{{job}} {{instance}}")),
        panel("Pools in use", "Share of each pool that is busy; at 1 calls wait.", "percentunit",
              (f'nhip_database_connections{{{HERE}, state="busy"}} / {_POOL} nhip_database_connections_max{{{HERE}}}',
               "{{job}} {{instance}}")),
        panel("Connections that services may open", "To be kept below max_connections of each cluster.", "none",
              (f"sum by (job) (nhip_database_connections_max{{{HERE}}})", "{{job}}")),
        panel("Away or full", "Calls that failed since the database did not answer, or could store nothing.", "reqps",
              (rate("grpc_server_handled_total", "job, grpc_code", 'grpc_code=~"UNAVAILABLE|RESOURCE_EXHAUSTED"'),
               "{{job}} {{grpc_code}}")),
        panel("Late", "Calls that ran out of time.", "reqps",
              (rate("grpc_server_handled_total", "job, grpc_method", 'grpc_code="DEADLINE_EXCEEDED"'),
               "{{job}} {{grpc_method}}")),
        panel("Not backed up", "On one machine: how much time of writes would be lost with it.", "s",
              (f"time() - max by (namespace) (nhip_backup_covered_timestamp_seconds{{{HERE}}})", "lost")),
        panel("Age of the base backup", "On one machine: a restore replays all that was written since.", "s",
              (f"time() - max by (namespace) (nhip_backup_base_timestamp_seconds{{{HERE}}})", "age"),
              (f"time() - max by (namespace) (nhip_backup_base_due_timestamp_seconds{{{HERE}}})", "overdue")),
    ),
)  # fmt: skip

FEEDS = Sheet(
    "nhip-feeds",
    "Feeds",
    "How far followers are behind what they follow.",
    (
        panel("Lag", "Age of the oldest change that was not applied.", "s",
              (f"max by ({_BY_FEED}) (nhip_feed_lag_seconds{{{HERE}}})", _FEED)),
        panel("Silence", "Since when a follower has not heard its source; a heartbeat comes every five seconds.", "s",
              (f"time() - max by ({_BY_FEED}) (nhip_feed_heard_timestamp_seconds{{{HERE}}})", _FEED)),
        panel("Changes applied", "In a second.", "ops", (rate("nhip_feed_changes_applied_total", _BY_FEED), _FEED)),
        panel("Failures", "Batches that could not be applied, and are tried again.", "ops",
              (rate("nhip_feed_failures_total", _BY_FEED), _FEED)),
        panel("Consent until enforced", "From a citizen's decision until records enforced it.", "s",
              *((quantile(share, "nhip_consent_enforced_seconds", "namespace"), f"p{share * 100:g}") for share in (0.5, 0.99))),
        panel("Streams", "Feeds that are being followed, at their source.", "none",
              (f'sum by (job) (grpc_server_in_flight{{{HERE}, grpc_method="Follow"}})', "{{job}}")),
    ),
)  # fmt: skip

_REJECTED = f'sum(increase(nhip_import_rows_total{{{HERE}, outcome="rejected"}}[1h]))'
EXCHANGE = Sheet(
    "nhip-exchange",
    "Exchange",
    "Imports of files.",
    (
        panel("Open imports", "By state.", "none",
              (f"max by (state) (nhip_imports_open{{{HERE}}})", "{{state}}"), width=8),
        panel("Longest without movement", "By state.", "s",
              (f"max by (state) (nhip_import_oldest_seconds{{{HERE}}})", "{{state}}"), width=8),
        panel("Rejected of the last hour", "Share of rows.", "percentunit",
              (f"{_REJECTED} / (sum(increase(nhip_import_rows_total{{{HERE}}}[1h])) > 0)", "rejected"), width=8),
        panel("Rows", "In a second, by what became of them.", "ops", (rate("nhip_import_rows_total", "outcome"), "{{outcome}}")),
        panel("Rows of the last day", "By what became of them.", "none",
              (f"sum by (outcome) (increase(nhip_import_rows_total{{{HERE}}}[1d]))", "{{outcome}}")),
        panel("RPCs", "Of the exchange.", "reqps",
              (rate("grpc_server_handled_total", "grpc_method, grpc_code", 'job="exchange"'), "{{grpc_method}} {{grpc_code}}")),
        panel("What imports cost behind", "RPCs that carry many rows, by service.", "s",
              (largest(8, quantile(0.95, "grpc_server_handling_seconds", "job, grpc_method",
                                   'grpc_method=~"ImportResources|BatchRegister|ExecuteTransaction|BatchCreateCoverages"')),
               "{{job}} {{grpc_method}}")),
        panel("Memory of the exchange", "By replica.", "bytes",
              (f'process_resident_memory_bytes{{{HERE}, job="exchange"}}', "{{instance}}")),
        panel("Processor of the exchange", "Cores, by replica.", "none",
              (f'rate(process_cpu_seconds_total{{{HERE}, job="exchange"}}[{WINDOW}])', "{{instance}}")),
    ),
)  # fmt: skip

FLOWS = (POSTGRESQL, FEEDS, EXCHANGE)
