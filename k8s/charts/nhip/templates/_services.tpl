{{/* Lays one map over another, in place; unlike mergeOverwrite it also lets false, 0 and "" win. Takes (dict "under" a "over" b). */}}
{{- define "nhip.overlay" -}}
{{- $under := .under -}}
{{- range $key, $value := .over -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $under $key)) -}}
{{- include "nhip.overlay" (dict "under" (get $under $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $under $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The services that run here, as YAML: name → what the code says (platform.yaml), the defaults and the service's own values. */}}
{{- define "nhip.services" -}}
{{- $root := . -}}
{{- $services := dict -}}
{{- range $name, $facts := (.Files.Get "platform.yaml" | fromYaml).services -}}
{{- $service := deepCopy $root.Values.defaults -}}
{{- include "nhip.overlay" (dict "under" $service "over" (deepCopy (get $root.Values.services $name | default dict))) -}}
{{- include "nhip.overlay" (dict "under" $service "over" $facts) -}}
{{- $_ := set $service "module" (replace "-" "_" $name) -}}
{{- if $service.enabled -}}
{{- $_ := set $services $name $service -}}
{{- end -}}
{{- end -}}
{{- toYaml $services -}}
{{- end -}}

{{/* NHIP_PEERS: every service that is reached by gRPC. One that runs nowhere keeps its name, and calls to it are answered 503. */}}
{{- define "nhip.peers" -}}
{{- $root := . -}}
{{- $platform := .Files.Get "platform.yaml" | fromYaml -}}
{{- $peers := list -}}
{{- range $name, $facts := $platform.services -}}
{{- if eq $facts.door "grpc" -}}
{{- $here := printf "dns:///%s-%s:%v" (include "nhip.fullname" $root) $name $platform.ports.grpc -}}
{{- $peers = append $peers (printf "%s=%s" (replace "-" "_" $name) (get $root.Values.peers $name | default $here)) -}}
{{- end -}}
{{- end -}}
{{- join "," $peers -}}
{{- end -}}

{{/* Services that run neither here nor at a peer, with commas between. */}}
{{- define "nhip.absent" -}}
{{- $root := . -}}
{{- $here := include "nhip.services" . | fromYaml -}}
{{- $absent := list -}}
{{- range $name, $facts := (.Files.Get "platform.yaml" | fromYaml).services -}}
{{- if not (or (hasKey $here $name) (hasKey $root.Values.peers $name)) -}}
{{- $absent = append $absent (replace "-" "_" $name) -}}
{{- end -}}
{{- end -}}
{{- join "," $absent -}}
{{- end -}}

{{/* Where a service's database URL comes from, as environment entries. Takes (dict "root" . "name" name "service" service). */}}
{{- define "nhip.databaseEnvironment" -}}
{{- $databases := .root.Values.databases -}}
{{- if $databases.cloudNativePg.enabled -}}
{{- $cluster := include "nhip.clusterOf" . -}}
- name: NHIP_DATABASE_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $cluster }}-app, key: password}}
- name: NHIP_DATABASE_URL
  value: postgresql://nhip:$(NHIP_DATABASE_PASSWORD)@{{ $cluster }}-rw:5432/nhip_{{ .service.module }}
- name: PGSSLMODE
  value: verify-full
- name: PGSSLROOTCERT
  value: /var/run/nhip/database/ca.crt
{{- else -}}
- name: NHIP_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $databases.existingSecret }}, key: {{ .service.module }}}}
{{- with $databases.sslMode }}
- name: PGSSLMODE
  value: {{ . }}
{{- end }}
{{- if $databases.caSecret.name }}
- name: PGSSLROOTCERT
  value: /var/run/nhip/database/ca.crt
{{- end }}
{{- end -}}
{{- end -}}

{{/* The Secret that holds the certificate authority of a service's database, as YAML with name and key; empty for none. */}}
{{- define "nhip.databaseAuthority" -}}
{{- $databases := .root.Values.databases -}}
{{- if $databases.cloudNativePg.enabled -}}
{name: {{ include "nhip.clusterOf" . }}-ca, key: ca.crt}
{{- else if $databases.caSecret.name -}}
{name: {{ $databases.caSecret.name }}, key: {{ $databases.caSecret.key }}}
{{- end -}}
{{- end -}}

{{/* The CloudNativePG cluster in which a service's database lies. Takes (dict "root" . "name" name). */}}
{{- define "nhip.clusterOf" -}}
{{- $root := .root -}}
{{- $service := .name -}}
{{- $found := list -}}
{{- range $cluster, $settings := $root.Values.databases.cloudNativePg.clusters -}}
{{- if has $service $settings.services -}}
{{- $found = append $found (printf "%s-%s-db" (include "nhip.fullname" $root) $cluster) -}}
{{- end -}}
{{- end -}}
{{- if ne (len $found) 1 -}}
{{- fail (printf "databases.cloudNativePg.clusters: %s stands in %d clusters; name it under `services` of exactly one" $service (len $found)) -}}
{{- end -}}
{{- first $found -}}
{{- end -}}

{{/* "true" where databases or Secrets are made by this very release: then nothing can run before it is installed. */}}
{{- define "nhip.groundComesWithRelease" -}}
{{- if or .Values.databases.cloudNativePg.enabled .Values.externalSecrets.enabled -}}true{{- end -}}
{{- end -}}

{{/* A volume's name for the authority of a service's database: services of one cluster share it. */}}
{{- define "nhip.authorityName" -}}
{{- if .root.Values.databases.cloudNativePg.enabled -}}{{- include "nhip.clusterOf" . | trunc 50 | trimSuffix "-" -}}{{- else -}}given{{- end -}}
{{- end -}}

{{/* The Secret with a service's certificate. Takes (dict "root" . "name" name). */}}
{{- define "nhip.certificateSecret" -}}
{{- printf "%s-%s" (.root.Values.certificates.secretPrefix | default (printf "%s-tls" (include "nhip.fullname" .root))) .name -}}
{{- end -}}
