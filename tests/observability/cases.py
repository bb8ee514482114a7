"""For each alert: series over which it fires, with what it says then, and series that look alike over which it must not.

Values are as promtool takes them: `0+60x90` begins at 0 and grows by 60 in each of 90 minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

PAGE, TICKET = "page", "ticket"
Series = Mapping[str, str]
RECORDS = {"namespace": "health", "job": "records"}
_AT = 'namespace="health", job="{}", instance="{}"'
RECORDS_AT = _AT.format("records", "records-1:9464")
OTHER_AT = _AT.format("records", "records-2:9464")
CLAIMS_AT = _AT.format("claims", "claims-1:9464")
AUDIT_AT = _AT.format("audit", "audit-1:9464")
INDEX_AT = _AT.format("patient-index", "patient-index-1:9464")
EXCHANGE_AT = _AT.format("exchange", "exchange-1:9464")
ARCHIVER_AT = _AT.format("archiver", "archiver-1:9465")
PROBE_AT = _AT.format("probe", "probe-1:9464")
EDGE_AT = _AT.format("edge", "edge-1:9464")
READ = 'grpc_service="nhip.records.v1.RecordsService", grpc_method="ReadResource"'
# The class of the one RPC that these series are of.
FAST = {f'nhip_rpc_slo_class{{{RECORDS_AT}, {READ}, slo_class="fast"}}': "1+0x{minutes}"}
FEED = {"namespace": "health", "job": "claims", "source": "records", "feed": "visits"}
_FEED = f'{CLAIMS_AT}, source="records", feed="visits"'


@dataclass(frozen=True)
class Case:
    """What one alert is shown, and what is expected `at` so many minutes."""

    alert: str
    at: int
    fires: Series
    # Each is a test of its own, by what it is like.
    quiet: Mapping[str, Series]
    # What it is told of: its labels but the severity.
    labels: Mapping[str, str]
    # {{ $value }} as its description shows it, by severity.
    says: Mapping[str, str] = field(default_factory=lambda: {PAGE: ""})


def handled(code: str, values: str, at: str = RECORDS_AT) -> dict[str, str]:
    """Completed RPCs."""
    return {f'grpc_server_handled_total{{{at}, {READ}, grpc_code="{code}"}}': values}


def timed(all_of_them: str, in_time: str) -> dict[str, str]:
    """Durations of RPCs: how many there were, and how many took at most what is promised."""
    name = "grpc_server_handling_seconds"
    return {
        f"{name}_count{{{RECORDS_AT}, {READ}}}": all_of_them,
        f'{name}_bucket{{{RECORDS_AT}, {READ}, le="0.1"}}': in_time,
    }


def answered(status: str, values: str, route: str = "/fhir/R4/{type}/{id}") -> dict[str, str]:
    """Requests at the edge."""
    return {f'http_server_requests_total{{{EDGE_AT}, method="GET", route="{route}", status="{status}"}}': values}


def took(all_of_them: str, in_time: str, route: str = "/fhir/R4/{type}/{id}") -> dict[str, str]:
    """Durations at the edge."""
    name, labels = "http_server_request_duration_seconds", f'{EDGE_AT}, method="GET", route="{route}"'
    return {f"{name}_count{{{labels}}}": all_of_them, f'{name}_bucket{{{labels}, le="1.0"}}': in_time}


BURNING = (
    Case(
        "NhipAvailabilityBudgetBurn",
        60,
        {**FAST, **handled("OK", "0+970x{minutes}"), **handled("INTERNAL", "0+30x{minutes}")},
        {
            "within the budget": {**FAST, **handled("OK", "0+9999x{minutes}"), **handled("INTERNAL", "0+1x{minutes}")},
            "mistakes of callers": {**FAST, **handled("OK", "0+900x{minutes}"), **handled("NOT_FOUND", "0+100x{minutes}")},
            "one of five calls at night": {
                **FAST,
                **handled("OK", "0+0x50 4+0x{minutes}"),
                **handled("INTERNAL", "0+0x50 1+0x{minutes}"),
            },
        },
        {**RECORDS, "slo": "availability", "slo_class": "fast"},
        {PAGE: "3%", TICKET: "3%"},
    ),
    Case(
        "NhipLatencyBudgetBurn",
        60,
        {**FAST, **timed("0+1000x{minutes}", "0+800x{minutes}")},
        {"within the budget": {**FAST, **timed("0+1000x{minutes}", "0+995x{minutes}")}},
        {**RECORDS, "slo": "latency", "slo_class": "fast"},
        {PAGE: "20%", TICKET: "20%"},
    ),
    Case(
        "NhipEdgeAvailabilityBudgetBurn",
        60,
        {**answered("200", "0+970x{minutes}"), **answered("503", "0+30x{minutes}")},
        {
            "refusals": {**answered("200", "0+900x{minutes}"), **answered("403", "0+100x{minutes}")},
            "a probe that says no": {**answered("200", "0+900x{minutes}"), **answered("503", "0+100x{minutes}", "/readyz")},
        },
        {"namespace": "health", "job": "edge", "slo": "availability", "slo_class": "edge"},
        {PAGE: "3%", TICKET: "3%"},
    ),
    Case(
        "NhipEdgeLatencyBudgetBurn",
        60,
        took("0+1000x{minutes}", "0+800x{minutes}"),
        {
            "within the budget": took("0+1000x{minutes}", "0+995x{minutes}"),
            "transactions, which may take long": took("0+1000x{minutes}", "0+100x{minutes}", "/fhir/R4"),
        },
        {"namespace": "health", "job": "edge", "slo": "latency", "slo_class": "edge"},
        {PAGE: "20%", TICKET: "20%"},
    ),
)  # fmt: skip
PROCESSES = (
    Case(
        "NhipServiceDown",
        10,
        {f"up{{{RECORDS_AT}}}": "1+0x5 0+0x{minutes}", f"up{{{OTHER_AT}}}": "1+0x5 0+0x{minutes}"},
        {
            "one of two answers": {f"up{{{RECORDS_AT}}}": "1+0x{minutes}", f"up{{{OTHER_AT}}}": "0+0x{minutes}"},
            "for a minute": {f"up{{{RECORDS_AT}}}": "1+0x8 0+0x{minutes}"},
            "somebody else's": {'up{namespace="other", job="shop", instance="a"}': "0+0x{minutes}"},
        },
        RECORDS,
    ),
    Case(
        "NhipReplicaDown",
        20,
        {f"up{{{RECORDS_AT}}}": "1+0x{minutes}", f"up{{{OTHER_AT}}}": "0+0x{minutes}"},
        {"for five minutes": {f"up{{{OTHER_AT}}}": "1+0x14 0+0x{minutes}"}},
        {**RECORDS, "instance": "records-2:9464"},
        {TICKET: ""},
    ),
    Case(
        "NhipTargetMissing",
        30,
        {f"up{{{RECORDS_AT}}}": "1+0x10 stale", f"up{{{CLAIMS_AT}}}": "1+0x{minutes}"},
        {"a replica of two is gone": {f"up{{{RECORDS_AT}}}": "1+0x10 stale", f"up{{{OTHER_AT}}}": "1+0x{minutes}"}},
        RECORDS,
        {TICKET: ""},
    ),
    Case(
        "NhipNotReady",
        10,
        {f"nhip_ready{{{RECORDS_AT}}}": "0+0x{minutes}", f"nhip_ready{{{OTHER_AT}}}": "0+0x{minutes}"},
        {
            "the other replica is": {
                f"nhip_ready{{{RECORDS_AT}}}": "0+0x{minutes}",
                f"nhip_ready{{{OTHER_AT}}}": "1+0x9",
            }
        },
        RECORDS,
    ),
    Case(
        "NhipRestarting",
        30,
        {f"process_start_time_seconds{{{RECORDS_AT}}}": "100+0x5 200+0x5 300+0x5 400+0x5 500+0x5"},
        {"two releases within an hour": {f"process_start_time_seconds{{{RECORDS_AT}}}": "100+0x5 200+0x5 300+0x20"}},
        {**RECORDS, "instance": "records-1:9464"},
        {TICKET: "4"},
    ),
    Case(
        "NhipEventLoopBlocked",
        10,
        {f"nhip_event_loop_lag_seconds{{{RECORDS_AT}}}": "0.5+0x{minutes}"},
        {"for a moment": {f"nhip_event_loop_lag_seconds{{{RECORDS_AT}}}": "0+0x6 3 0+0x9"}},
        {**RECORDS, "instance": "records-1:9464"},
        {TICKET: "500ms"},
    ),
    Case(
        "NhipPoolExhausted",
        10,
        {
            f'nhip_database_connections{{{RECORDS_AT}, state="busy"}}': "12+0x{minutes}",
            f"nhip_database_connections_max{{{RECORDS_AT}}}": "12+0x{minutes}",
        },
        {
            "one is free": {
                f'nhip_database_connections{{{RECORDS_AT}, state="busy"}}': "11+0x{minutes}",
                f'nhip_database_connections{{{RECORDS_AT}, state="idle"}}': "12+0x{minutes}",
                f"nhip_database_connections_max{{{RECORDS_AT}}}": "12+0x{minutes}",
            }
        },
        {**RECORDS, "instance": "records-1:9464", "state": "busy"},
        {PAGE: "12"},
    ),
    Case(
        "NhipStorageFull",
        10,
        {**handled("OK", "0+60x{minutes}"), **handled("RESOURCE_EXHAUSTED", "0+6x{minutes}")},
        {
            "secrets are guessed": handled(
                "RESOURCE_EXHAUSTED", "0+6x{minutes}", _AT.format("identity", "identity-1:9464")
            )
        },
        RECORDS,
    ),
    Case(
        "NhipCertificateEnds",
        30,
        {
            f'nhip_tls_not_after_seconds{{{RECORDS_AT}, certificate="own"}}': "864000+0x{minutes}",
            f'nhip_tls_not_after_seconds{{{RECORDS_AT}, certificate="authorities"}}': "86400000+0x{minutes}",
        },
        {
            "a month is left": {
                f'nhip_tls_not_after_seconds{{{RECORDS_AT}, certificate="own"}}': "2592000+0x{minutes}"
            },
            "calls are plain": {f"nhip_ready{{{RECORDS_AT}}}": "1+0x{minutes}"},
        },
        {**RECORDS, "certificate": "own"},
        {TICKET: "9d 23h 30m 0s"},
    ),
    Case(
        "NhipRefusalsSurge",
        200,
        {**handled("OK", "0+600x{minutes}"), **handled("PERMISSION_DENIED", "0+0x180 0+600x40")},
        {
            "as many as ever": {
                **handled("OK", "0+600x{minutes}"),
                **handled("PERMISSION_DENIED", "0+600x{minutes}"),
            },
            "a few": {**handled("OK", "0+600x{minutes}"), **handled("PERMISSION_DENIED", "0+0x180 0+20x40")},
        },
        RECORDS,
        {TICKET: "10"},
    ),
)
TRAVELLING = (
    Case(
        "NhipFeedBehind",
        10,
        {f"nhip_feed_lag_seconds{{{_FEED}}}": "90+60x{minutes}"},
        {"it catches up": {f"nhip_feed_lag_seconds{{{_FEED}}}": "90+0x3 5+0x{minutes}"}},
        FEED,
        {PAGE: "11m 30s"},
    ),
    Case(
        "NhipFeedSilent",
        10,
        {f"nhip_feed_heard_timestamp_seconds{{{_FEED}}}": "0+0x{minutes}"},
        {
            "another replica follows": {
                f"nhip_feed_heard_timestamp_seconds{{{_FEED}}}": "0+0x{minutes}",
                f"nhip_feed_heard_timestamp_seconds{{{_FEED.replace('claims-1', 'claims-2')}}}": "0+60x{minutes}",
            }
        },
        FEED,
        {PAGE: "10m 0s"},
    ),
    Case(
        "NhipFeedFailing",
        20,
        {f"nhip_feed_failures_total{{{_FEED}}}": "0+1x{minutes}"},
        {"once": {f"nhip_feed_failures_total{{{_FEED}}}": "0+0x12 1+0x{minutes}"}},
        FEED,
        {PAGE: "10"},
    ),
    Case(
        "NhipConsentSlow",
        20,
        {
            f'nhip_consent_enforced_seconds_bucket{{{RECORDS_AT}, le="5.0"}}': "0+5x{minutes}",
            f'nhip_consent_enforced_seconds_bucket{{{RECORDS_AT}, le="10.0"}}': "0+10x{minutes}",
            f'nhip_consent_enforced_seconds_bucket{{{RECORDS_AT}, le="+Inf"}}': "0+10x{minutes}",
        },
        {
            "all within five seconds": {
                f'nhip_consent_enforced_seconds_bucket{{{RECORDS_AT}, le="5.0"}}': "0+10x{minutes}",
                f'nhip_consent_enforced_seconds_bucket{{{RECORDS_AT}, le="+Inf"}}': "0+10x{minutes}",
            }
        },
        {"namespace": "health"},
        {PAGE: "9.9s"},
    ),
    Case(
        "NhipProbeBroken",
        20,
        {f"nhip_probe_held_timestamp_seconds{{{PROBE_AT}}}": "0+60x5 300+0x{minutes}"},
        {
            "each minute": {f"nhip_probe_held_timestamp_seconds{{{PROBE_AT}}}": "0+60x{minutes}"},
            "a walk that failed, and another that did not": {
                f"nhip_probe_held_timestamp_seconds{{{PROBE_AT}}}": "0+60x15 900+0x3 1140+60x{minutes}"
            },
        },
        {"namespace": "health"},
        {PAGE: "15m 0s"},
    ),
    Case(
        "NhipBackupBehind",
        20,
        {f"nhip_backup_covered_timestamp_seconds{{{ARCHIVER_AT}}}": "0+60x5 300+0x{minutes}"},
        {
            "each minute": {f"nhip_backup_covered_timestamp_seconds{{{ARCHIVER_AT}}}": "0+60x{minutes}"},
            "four minutes without, and all of it caught up": {
                f"nhip_backup_covered_timestamp_seconds{{{ARCHIVER_AT}}}": "0+60x10 600+0x3 840+60x{minutes}"
            },
        },
        {"namespace": "health"},
        {PAGE: "15m 0s"},
    ),
    Case(
        "NhipBackupOld",
        600,
        {f"nhip_backup_base_due_timestamp_seconds{{{ARCHIVER_AT}}}": "3600+0x{minutes}"},
        {
            "made when it was due": {
                f"nhip_backup_base_due_timestamp_seconds{{{ARCHIVER_AT}}}": "3600+0x60 90000+0x{minutes}"
            },
        },
        {"namespace": "health"},
        {TICKET: "9h 0m 0s"},
    ),
    Case(
        "NhipAuditInconsistent",
        10,
        {f"nhip_audit_inconsistencies_total{{{AUDIT_AT}}}": "0+0x8 1+0x{minutes}"},
        {"never": {f"nhip_audit_inconsistencies_total{{{AUDIT_AT}}}": "0+0x{minutes}"}},
        {"namespace": "health"},
    ),
    Case(
        "NhipAuditStalled",
        40,
        {
            f'nhip_feed_changes_applied_total{{{AUDIT_AT}, source="records", feed="access"}}': "0+10x{minutes}",
            f"nhip_audit_signed_entries{{{AUDIT_AT}}}": "500+0x{minutes}",
        },
        {
            "it is signed": {
                f'nhip_feed_changes_applied_total{{{AUDIT_AT}, source="records", feed="access"}}': "0+10x{minutes}",
                f"nhip_audit_signed_entries{{{AUDIT_AT}}}": "500+10x{minutes}",
            },
            "nothing comes": {
                f'nhip_feed_changes_applied_total{{{AUDIT_AT}, source="records", feed="access"}}': "9+0x{minutes}",
                f"nhip_audit_signed_entries{{{AUDIT_AT}}}": "500+0x{minutes}",
            },
        },
        {"namespace": "health", "job": "audit"},
    ),
    Case(
        "NhipImportStuck",
        10,
        {f'nhip_import_oldest_seconds{{{EXCHANGE_AT}, state="running"}}': "1800+60x{minutes}"},
        {"an upload that is slow": {f'nhip_import_oldest_seconds{{{EXCHANGE_AT}, state="uploading"}}': "1800+60x{minutes}"}},
        {"namespace": "health", "state": "running"},
        {TICKET: "40m 0s"},
    ),
    Case(
        "NhipImportsReject",
        60,
        {
            f'nhip_import_rows_total{{{EXCHANGE_AT}, outcome="created"}}': "0+10x{minutes}",
            f'nhip_import_rows_total{{{EXCHANGE_AT}, outcome="rejected"}}': "0+10x{minutes}",
        },
        {
            "a few rows": {
                f'nhip_import_rows_total{{{EXCHANGE_AT}, outcome="created"}}': "0+1x{minutes}",
                f'nhip_import_rows_total{{{EXCHANGE_AT}, outcome="rejected"}}': "0+1x{minutes}",
            },
            "one of ten": {
                f'nhip_import_rows_total{{{EXCHANGE_AT}, outcome="created"}}': "0+90x{minutes}",
                f'nhip_import_rows_total{{{EXCHANGE_AT}, outcome="rejected"}}': "0+10x{minutes}",
            },
        },
        {"namespace": "health"},
        {TICKET: "50%"},
    ),
    Case(
        "NhipReviewsOld",
        90,
        {f"nhip_review_oldest_seconds{{{INDEX_AT}}}": "691200+60x{minutes}"},
        {"six days": {f"nhip_review_oldest_seconds{{{INDEX_AT}}}": "518400+60x{minutes}"}},
        {"namespace": "health"},
        {TICKET: "8d 1h 30m 0s"},
    ),
)  # fmt: skip
CASES = (*BURNING, *PROCESSES, *TRAVELLING)
