{{/* Keys that this chart no longer takes or never took, each with what to set instead. The schema lets them through so that
     they come here, where the answer is advice. A key that a release removes is added here in the same commit. */}}
{{- define "nhip.removed" -}}
env: "set `defaults.env` for every service, or `services.<name>.env` for one"
ingress: "set `edge.ingress`"
networkPolicies: "set `networkPolicy`"
postgresql: "the chart brings no PostgreSQL of its own: set `databases.existingSecret`, or `databases.cloudNativePg`"
replicaCount: "set `defaults.replicas`, or `services.<name>.replicas`"
resources: "set `defaults.resources`, or `services.<name>.resources`"
secrets.create: "the chart makes no secrets: see docs/operations/deploy.md for the command that does, and `externalSecrets`"
tls: "set `edge.ingress.tls`; between services `certificates`"
{{- end -}}

{{- define "nhip.refuseRemoved" -}}
{{- $root := . -}}
{{- range $path, $advice := include "nhip.removed" . | fromYaml -}}
{{- $node := $root.Values -}}
{{- $isSet := true -}}
{{- range $part := splitList "." $path -}}
{{- if and $isSet (kindIs "map" $node) (hasKey $node $part) -}}
{{- $node = get $node $part -}}
{{- else -}}
{{- $isSet = false -}}
{{- end -}}
{{- end -}}
{{- if $isSet -}}
{{- fail (printf "\n\nthe value `%s` is not taken: %s\n" $path $advice) -}}
{{- end -}}
{{- end -}}
{{- end -}}
