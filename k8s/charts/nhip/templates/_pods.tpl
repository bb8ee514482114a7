{{/* What every pod of the platform has in common. */}}
{{- define "nhip.pod" -}}
automountServiceAccountToken: false
# Variables named after Services would only stand in the way of our own.
enableServiceLinks: false
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "nhip.container" -}}
image: {{ include "nhip.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- end -}}

{{/* Volumes of a service: takes (dict "root" . "name" name "service" service). */}}
{{- define "nhip.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .service.temporaryStorage | default .root.Values.defaults.temporaryStorage }}}
{{- if .service.secrets }}
- name: secrets
  secret:
    secretName: {{ .root.Values.secrets.existingSecret }}
    # 0440: for the group that the pod runs in.
    defaultMode: 288
    items:
      {{- range .service.secrets }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- if .service.door }}
{{- with .root.Values.certificates }}
{{- if .enabled }}
- name: certificates
  projected:
    # 0440, as above.
    defaultMode: 288
    sources:
      - secret:
          name: {{ include "nhip.certificateSecret" $ }}
          items:
            - {key: tls.crt, path: tls.crt}
            - {key: tls.key, path: tls.key}
            {{- if not .authorities.configMap }}
            - {key: ca.crt, path: ca.crt}
            {{- end }}
      {{- with .authorities }}
      {{- if .configMap }}
      - configMap:
          name: {{ .configMap }}
          items:
            - {key: {{ .key }}, path: ca.crt}
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if .service.database }}
{{- with include "nhip.databaseAuthority" . | fromYaml }}
- name: database-authority
  secret:
    secretName: {{ .name }}
    items:
      - {key: {{ .key }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{- define "nhip.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .service.secrets }}
- {name: secrets, mountPath: /var/run/nhip/secrets, readOnly: true}
{{- end }}
{{- if and .service.door .root.Values.certificates.enabled }}
- {name: certificates, mountPath: /var/run/nhip/certificates, readOnly: true}
{{- end }}
{{- if and .service.database (include "nhip.databaseAuthority" .) }}
- {name: database-authority, mountPath: /var/run/nhip/database, readOnly: true}
{{- end }}
{{- end -}}
