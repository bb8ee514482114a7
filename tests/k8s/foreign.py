"""Schemas of the objects that operators bring, as far as the chart sets their fields. What is not here fails.

After the operators' API references: CloudNativePG 1.27, External Secrets 1.0, cert-manager 1.18, Prometheus Operator
0.86, Gateway API 1.3.
"""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
DURATION: Schema = {"type": "string", "pattern": "^([0-9]+(h|m|s|ms))+$"}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these properties and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": [*required], "properties": properties, "additionalProperties": False}


def many(item: Schema) -> Schema:
    """A list that is not empty."""
    return {"type": "array", "minItems": 1, "items": item}


def kind(api_version: str, name: str, spec: Schema) -> Schema:
    """An object of that kind."""
    metadata = closed({"name": TEXT, "labels": TEXTS}, {"annotations": TEXTS})
    return closed({"apiVersion": {"const": api_version}, "kind": {"const": name}, "metadata": metadata, "spec": spec})


NAMED = closed({"name": TEXT})
QUANTITIES = {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}
STORAGE = closed({"size": TEXT}, {"storageClass": TEXT})
RECORDING = closed({"record": TEXT, "expr": TEXT}, {"labels": TEXTS})
ALERTING = closed({"alert": TEXT, "expr": TEXT, "labels": TEXTS, "annotations": TEXTS}, {"for": DURATION})
PLUGIN = "barman-cloud.cloudnative-pg.io"
FOREIGN: dict[str, Schema] = {
    "Cluster": kind(
        "postgresql.cnpg.io/v1",
        "Cluster",
        closed(
            {
                "instances": NUMBER,
                "imageName": TEXT,
                "primaryUpdateStrategy": {"enum": ["supervised", "unsupervised"]},
                "bootstrap": closed(
                    {
                        "initdb": closed(
                            {"database": TEXT, "owner": TEXT, "encoding": TEXT},
                            {"localeProvider": {"enum": ["builtin", "icu", "libc"]}, "builtinLocale": TEXT},
                        )
                    }
                ),
                "storage": STORAGE,
                "postgresql": closed({"parameters": TEXTS}),
                "affinity": closed(
                    {
                        "enablePodAntiAffinity": FLAG,
                        "topologyKey": TEXT,
                        "podAntiAffinityType": {"enum": ["preferred", "required"]},
                    }
                ),
            },
            {
                "walStorage": STORAGE,
                "resources": closed({}, {"requests": QUANTITIES, "limits": QUANTITIES}),
                "plugins": many(closed({"name": TEXT, "isWALArchiver": FLAG, "parameters": TEXTS})),
                "backup": closed({"volumeSnapshot": closed({"className": TEXT})}),
            },
        ),
    ),
    "Database": kind(
        "postgresql.cnpg.io/v1",
        "Database",
        closed(
            {"cluster": NAMED, "name": TEXT, "owner": TEXT, "databaseReclaimPolicy": {"enum": ["delete", "retain"]}}
        ),
    ),
    "ScheduledBackup": kind(
        "postgresql.cnpg.io/v1",
        "ScheduledBackup",
        closed(
            {
                "cluster": NAMED,
                "schedule": TEXT,
                "backupOwnerReference": {"enum": ["none", "self", "cluster"]},
                "method": {"enum": ["barmanObjectStore", "volumeSnapshot", "plugin"]},
            },
            {"pluginConfiguration": closed({"name": {"const": PLUGIN}})},
        ),
    ),
    "ExternalSecret": kind(
        "external-secrets.io/v1",
        "ExternalSecret",
        closed(
            {
                "refreshInterval": DURATION,
                "secretStoreRef": closed({"kind": {"enum": ["SecretStore", "ClusterSecretStore"]}, "name": TEXT}),
                "target": closed({"name": TEXT, "creationPolicy": {"enum": ["Owner", "Orphan", "Merge", "None"]}}),
                "dataFrom": many(closed({"extract": closed({"key": TEXT})})),
            }
        ),
    ),
    "Certificate": kind(
        "cert-manager.io/v1",
        "Certificate",
        closed(
            {
                "secretName": TEXT,
                "dnsNames": many(TEXT),
                "usages": many({"enum": ["digital signature", "server auth", "client auth"]}),
                "duration": DURATION,
                "renewBefore": DURATION,
                "privateKey": closed(
                    {
                        "algorithm": {"enum": ["RSA", "ECDSA", "Ed25519"]},
                        "size": NUMBER,
                        "encoding": {"enum": ["PKCS1", "PKCS8"]},
                        "rotationPolicy": {"enum": ["Never", "Always"]},
                    }
                ),
                "issuerRef": closed({"name": TEXT, "kind": {"enum": ["Issuer", "ClusterIssuer"]}, "group": TEXT}),
            }
        ),
    ),
    "ServiceMonitor": kind(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        closed(
            {
                "jobLabel": TEXT,
                "selector": closed({"matchLabels": TEXTS}),
                "endpoints": many(closed({"port": TEXT, "interval": DURATION, "scrapeTimeout": DURATION})),
            }
        ),
    ),
    "PodMonitor": kind(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        closed(
            {
                "selector": closed({"matchLabels": TEXTS}),
                "podMetricsEndpoints": many(closed({"port": TEXT, "interval": DURATION, "scrapeTimeout": DURATION})),
            }
        ),
    ),
    "PrometheusRule": kind(
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        closed(
            {
                "groups": many(
                    closed(
                        {"name": TEXT, "rules": many({"anyOf": [RECORDING, ALERTING]})},
                        {"interval": DURATION},
                    )
                )
            }
        ),
    ),
    "HTTPRoute": kind(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        closed(
            {
                "parentRefs": many(
                    closed(
                        {"name": TEXT},
                        {"namespace": TEXT, "sectionName": TEXT, "port": NUMBER, "group": TEXT, "kind": TEXT},
                    )
                ),
                "rules": many(
                    closed(
                        {
                            "matches": many(
                                closed({"path": closed({"type": {"enum": ["Exact", "PathPrefix"]}, "value": TEXT})})
                            ),
                            "timeouts": closed({"request": DURATION}),
                            "backendRefs": many(closed({"name": TEXT, "port": NUMBER})),
                        }
                    )
                ),
            },
            {"hostnames": many(TEXT)},
        ),
    ),
}
