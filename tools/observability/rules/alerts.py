"""The alerts. Each has a runbook of its name in docs/runbooks/."""

from dataclasses import dataclass
from typing import Any

from tools.observability.contract.metrics import EVERY
from tools.observability.objectives import AVAILABILITY, EDGE, LATENCY
from tools.observability.rules import recording
from tools.observability.rules.pace import DAY, HOUR, MINUTE, Pace

PAGE, TICKET = "page", "ticket"
# (times the rate at which a month's budget lasts a month, long window, short window), Google's SRE workbook, chapter 5:
# 2 % of the budget within an hour, 5 % within six hours; 10 % within a day or three.
BURNS = {
    PAGE: ((14.4, HOUR, 5 * MINUTE), (6, 6 * HOUR, 30 * MINUTE)),
    TICKET: ((3, DAY, 2 * HOUR), (1, 3 * DAY, 6 * HOUR)),
}
# Fewer bad calls within the long window are chance: at night one of five may be.
LEAST_BAD_CALLS = 10
# Two heartbeats of a feed, and the time that they take to be scraped.
_HEARTBEATS = 12
# Five starts of a process on a busy machine; and what a decision takes that is enforced late, with the time to see it.
_STARTS, _DECISIONS = 300, 60
# Two walks of the probe, and the time that they take.
_WALKS = 20
# The archiver looks every other second, and after failures every half a minute.
_LOOKS = 60
# A batch that cannot be applied is tried again every five seconds.
_RETRIES = 60
JOBS = "|".join(service.replace("_", "-") for service in EVERY)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; `lasts` is how many seconds it must hold before it fires."""

    name: str
    severity: str
    expression: str
    lasts: int
    summary: str
    description: str

    def rule(self, pace: Pace) -> dict[str, Any]:
        """As Prometheus reads it."""
        rule: dict[str, Any] = {"alert": self.name, "expr": self.expression}
        if self.lasts:
            rule["for"] = pace.lasting(self.lasts)
        rule["labels"] = {"severity": self.severity}
        rule["annotations"] = {
            "summary": self.summary,
            "description": self.description,
            "runbook": f"docs/runbooks/{self.name}.md",
        }
        return rule


def groups(pace: Pace) -> dict[str, list[dict[str, Any]]]:
    """File name → its groups."""
    families = {"burning": burning(pace), "services": services(pace), "data": data(pace)}
    return {
        name: [{"name": f"nhip.{name}", "rules": [alert.rule(pace) for alert in alerts]}]
        for name, alerts in families.items()
    }


def alerts(pace: Pace | None = None) -> tuple[Alert, ...]:
    """All of them."""
    at = pace or Pace()
    return (*burning(at), *services(at), *data(at))


def burning(pace: Pace) -> tuple[Alert, ...]:
    """Budgets of errors that are used up too fast."""
    found = []
    for of, chosen, who in (("", f'slo_class!="{EDGE}"', "{{ $labels.job }}, {{ $labels.slo_class }} RPCs"),
                            ("Edge", f'slo_class="{EDGE}"', "The edge")):  # fmt: skip
        for slo, bad in ((AVAILABILITY, "failing"), (LATENCY, "too slow")):
            for severity in BURNS:
                found.append(  # noqa: PERF401 three loops in one expression read worse
                    Alert(
                        f"Nhip{of}{slo.title()}BudgetBurn",
                        severity,
                        _burn(f'slo="{slo}", {chosen}', severity, pace),
                        0,
                        f"{who}: so many calls are {bad} that the month's budget will not last",
                        f"{who}: {{{{ $value | humanizePercentage }}}} of calls are {bad} over the long window.",
                    )
                )
    return tuple(found)


def _burn(chosen: str, severity: str, pace: Pace) -> str:
    parts = []
    for times, long, short in BURNS[severity]:
        limit = f"on (slo, slo_class) group_left () ({times} * {recording.ALLOWED})"
        over = f"{recording.ratio(long)}{{{chosen}}} > {limit}"
        still = f"{recording.ratio(short)}{{{chosen}}} > {limit}"
        # Not the average times the window: of a platform that was installed an hour ago, a day has an hour.
        counted = f"sum_over_time({recording.BAD}{{{chosen}}}[{pace.lasting(long)}]) * {recording.rates_every(pace):g}"
        parts.append(f"({over} and {still} and {counted} >= {LEAST_BAD_CALLS})")
    return " or ".join(parts)


def services(pace: Pace) -> tuple[Alert, ...]:
    """Processes, and what they stand on."""
    up = f'up{{job=~"{JOBS}"}}'
    here = "on (namespace, job, instance)"
    return (
        Alert(
            "NhipServiceDown", PAGE, f"sum by (namespace, job) ({up}) == 0", 2 * MINUTE,
            "No replica of {{ $labels.job }} answers",
            "Prometheus reaches none of the replicas of {{ $labels.job }}.",
        ),
        Alert(
            "NhipReplicaDown", TICKET, f"{up} == 0", 10 * MINUTE,
            "A replica of {{ $labels.job }} does not answer",
            "Prometheus has not reached {{ $labels.instance }} of {{ $labels.job }} for ten minutes.",
        ),
        Alert(
            "NhipTargetMissing", TICKET,
            f"group by (namespace, job) (last_over_time({up}[{pace.lasting(DAY)}])) unless group by (namespace, job) ({up})",
            5 * MINUTE,
            "{{ $labels.job }} is not scraped any more",
            "{{ $labels.job }} had targets within the last day and has none now.",
        ),
        Alert(
            "NhipNotReady", PAGE, "max by (namespace, job) (nhip_ready) == 0", 5 * MINUTE,
            "No replica of {{ $labels.job }} is ready",
            "{{ $labels.job }} runs, and takes no calls: it does not know the keys that verify tokens, or drains.",
        ),
        Alert(
            "NhipProbeBroken", PAGE,
            f"time() - max by (namespace) (nhip_probe_held_timestamp_seconds) > {pace.seconds(5 * MINUTE, _WALKS):g}",
            2 * MINUTE,
            "A synthetic person cannot be taken through the platform any more",
            "Not all that the probe checks has held for {{ $value | humanizeDuration }}.",
        ),
        Alert(
            "NhipRestarting", TICKET, f'changes(process_start_time_seconds{{job=~"{JOBS}"}}[{pace.lasting(HOUR, _STARTS)}]) > 3',
            0,
            "{{ $labels.job }} keeps starting anew",
            "{{ $labels.instance }} of {{ $labels.job }} was started {{ $value }} times within an hour.",
        ),
        Alert(
            "NhipEventLoopBlocked", TICKET, f"avg_over_time(nhip_event_loop_lag_seconds[{pace.lasting(2 * MINUTE)}]) > 0.2",
            3 * MINUTE,
            "{{ $labels.job }} answers late because something blocks it",
            "The event loop of {{ $labels.instance }} comes {{ $value | humanizeDuration }} late to its timers.",
        ),
        Alert(
            "NhipPoolExhausted", PAGE,
            f'nhip_database_connections{{state="busy"}} >= {here} group_left () nhip_database_connections_max', 3 * MINUTE,
            "{{ $labels.job }} has no free connection to its database",
            "All {{ $value }} connections of {{ $labels.instance }} are in use; calls wait.",
        ),
        Alert(
            "NhipStorageFull", PAGE,
            'sum by (namespace, job) (rate(grpc_server_handled_total{grpc_code="RESOURCE_EXHAUSTED",'
            f' job!~"exchange|identity"}}[{pace.lasting(5 * MINUTE)}])) > 0',
            2 * MINUTE,
            "{{ $labels.job }} cannot store any more",
            "Writes of {{ $labels.job }} are refused because the disk or memory of its database is full.",
        ),
        Alert(
            # Of an archiver that is gone, what it said last still counts.
            "NhipBackupBehind", PAGE,
            "time() - max by (namespace)"
            f" (last_over_time(nhip_backup_covered_timestamp_seconds[{pace.lasting(DAY)}]))"
            f" > {pace.seconds(5 * MINUTE, _LOOKS):g}",
            2 * MINUTE,
            "What is written is not backed up",
            "If the machine were lost now, {{ $value | humanizeDuration }} of writes would be.",
        ),
        Alert(
            "NhipBackupOld", TICKET,
            "time() - max by (namespace)"
            f" (last_over_time(nhip_backup_base_due_timestamp_seconds[{pace.lasting(DAY)}])) > {pace.seconds(6 * HOUR):g}",
            10 * MINUTE,
            "A base backup has been due for hours",
            "The next base backup has been due for {{ $value | humanizeDuration }}.",
        ),
        Alert(
            "NhipCertificateEnds", TICKET,
            f"min by (namespace, job, certificate) (nhip_tls_not_after_seconds) - time() < {pace.seconds(14 * DAY):g}",
            10 * MINUTE,
            "A certificate of {{ $labels.job }} ends and is not renewed",
            "The first of {{ $labels.job }}'s {{ $labels.certificate }} to end has {{ $value | humanizeDuration }} left.",
        ),
        Alert(
            "NhipRefusalsSurge", TICKET,
            f"{recording.REFUSALS} > 0.5 and {recording.REFUSALS} >"
            f" 5 * avg_over_time({recording.REFUSALS}[{pace.lasting(DAY)}])",
            5 * MINUTE,
            "{{ $labels.job }} refuses far more calls than usual",
            "{{ $value | humanize }} calls in a second are refused: more than five times the day's average.",
        ),
    )  # fmt: skip


def data(pace: Pace) -> tuple[Alert, ...]:
    """What travels between services, and what people wait for."""
    of_feed = "{{ $labels.job }}'s following of {{ $labels.source }}/{{ $labels.feed }}"
    feed = "(namespace, job, source, feed)"
    rows = f"nhip_import_rows_total[{pace.lasting(HOUR)}]"
    rejected = f'sum by (namespace) (increase(nhip_import_rows_total{{outcome="rejected"}}[{pace.lasting(HOUR)}]))'
    applied = f'nhip_feed_changes_applied_total{{job="audit", feed="access"}}[{pace.lasting(10 * MINUTE)}]'
    enforced = f"rate(nhip_consent_enforced_seconds_bucket[{pace.lasting(10 * MINUTE, _DECISIONS)}])"
    return (
        Alert(
            "NhipFeedBehind", PAGE, f"max by {feed} (nhip_feed_lag_seconds) > {pace.seconds(60):g}", 5 * MINUTE,
            f"{of_feed} is behind",
            "The oldest change that was not applied is {{ $value | humanizeDuration }} old.",
        ),
        Alert(
            "NhipFeedSilent", PAGE,
            f"time() - max by {feed} (nhip_feed_heard_timestamp_seconds) > {pace.seconds(120, _HEARTBEATS):g}",
            MINUTE,
            f"{of_feed} has stopped",
            "Nothing was heard or applied for {{ $value | humanizeDuration }}; a heartbeat comes every five seconds.",
        ),
        Alert(
            "NhipFeedFailing", PAGE,
            f"sum by {feed} (increase(nhip_feed_failures_total[{pace.lasting(10 * MINUTE, _RETRIES)}])) > 5", 0,
            f"{of_feed} fails again and again",
            "A batch could not be applied {{ $value | humanize }} times within ten minutes; it is tried again.",
        ),
        Alert(
            "NhipConsentSlow", PAGE,
            f"histogram_quantile(0.99, sum by (namespace, le) ({enforced})) > 5", 2 * MINUTE,
            "A citizen's refusal takes effect late",
            "Of a hundred decisions one took longer than {{ $value | humanizeDuration }} until records enforced it.",
        ),
        Alert(
            "NhipAuditInconsistent", PAGE,
            f"sum by (namespace) (increase(nhip_audit_inconsistencies_total[{pace.lasting(HOUR)}])) > 0", 0,
            "The audit log does not extend what was signed",
            "The log was changed or lost entries after its last checkpoint; nothing is signed any more.",
        ),
        Alert(
            "NhipAuditStalled", PAGE,
            f"sum by (namespace, job) (increase({applied})) > 0 and max by (namespace, job)"
            f" (changes(nhip_audit_signed_entries[{pace.lasting(10 * MINUTE)}])) == 0", 5 * MINUTE,
            "The audit log grows and nobody signs it",
            "Accesses were appended in the last ten minutes, and no new checkpoint was signed.",
        ),
        Alert(
            "NhipImportStuck", TICKET, 'max by (namespace, state) (nhip_import_oldest_seconds{state=~"queued|running"})'
            f" > {pace.seconds(30 * MINUTE):g}",
            5 * MINUTE,
            "An import does not move",
            "The import that is {{ $labels.state }} for longest has not moved for {{ $value | humanizeDuration }}.",
        ),
        Alert(
            "NhipImportsReject", TICKET,
            f"{rejected} / sum by (namespace) (increase({rows})) > 0.2 and sum by (namespace) (increase({rows})) > 500",
            5 * MINUTE,
            "Imports reject many rows",
            "{{ $value | humanizePercentage }} of the rows of the last hour were rejected.",
        ),
        Alert(
            "NhipReviewsOld", TICKET,
            f"max by (namespace) (nhip_review_oldest_seconds) > {pace.seconds(7 * DAY):g}", HOUR,
            "A pair has waited for a reviewer for more than a week",
            "The oldest open review is {{ $value | humanizeDuration }} old.",
        ),
    )  # fmt: skip
