{{/* The name of everything in the release; short enough for a suffix. */}}
{{- define "bridge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "bridge.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "bridge.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bridge.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "bridge.selector" -}}
app.kubernetes.io/name: {{ include "bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bridge.labels" -}}
{{ include "bridge.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "bridge.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "bridge.serviceAccount" -}}
{{- .Values.serviceAccount.existingName | default (include "bridge.fullname" .) -}}
{{- end -}}

{{/* True with PostgreSQL, else empty. */}}
{{- define "bridge.postgres" -}}
{{- if regexMatch "^postgres(ql)?://" .Values.database.url -}}true{{- end -}}
{{- end -}}

{{/* True when several pods may run at once, else empty. */}}
{{- define "bridge.several" -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.minReplicas) 1 -}}true{{- end -}}
{{- else if gt (int .Values.replicaCount) 1 -}}true{{- end -}}
{{- end -}}

{{- define "bridge.port" -}}
{{- .Values.service.port | default (ternary 443 80 (ne .Values.tls.secretName "")) -}}
{{- end -}}

{{/* The names of the rule files, as a list in JSON. */}}
{{- define "bridge.ruleFiles" -}}
{{- if .Values.rules.existingConfigMap.name -}}
{{- toJson .Values.rules.existingConfigMap.keys -}}
{{- else -}}
{{- keys (.Values.rules.files | default dict) | sortAlpha | toJson -}}
{{- end -}}
{{- end -}}

{{/*
bridge.yaml as a dict in JSON: what the chart decides over what the values say. The values'
schema keeps the two apart, so nothing that somebody wrote is lost here.
*/}}
{{- define "bridge.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $listen := dict "scim" ":8080" "metrics" ":9464" -}}
{{- if .Values.monitorTokenSecret.name -}}
{{- $_ := set $listen "monitor_token_file" "/run/secrets/monitor/token" -}}
{{- end -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $listen "tls" (dict "cert_file" "/run/secrets/tls/tls.crt" "key_file" "/run/secrets/tls/tls.key") -}}
{{- end -}}
{{- $database := dict "url" .Values.database.url -}}
{{- if include "bridge.postgres" . -}}
{{- $_ := set $database "password_file" "/run/secrets/database/password" -}}
{{- end -}}
{{- $targets := list -}}
{{- range .Values.targets -}}
{{- $own := dict "name" .name "url" .url "login" .login "token_file" (printf "/run/secrets/targets/%s/token" .name) -}}
{{- if dig "passwordSecret" "name" "" . -}}
{{- $_ := set $own "password_file" (printf "/run/secrets/targets/%s/password" .name) -}}
{{- end -}}
{{- $targets = append $targets (mergeOverwrite (deepCopy (.config | default dict)) $own) -}}
{{- end -}}
{{- $audit := dict "journal_file" "/var/lib/matomo-scim-bridge/audit-journal.jsonl" -}}
{{- $mapping := dict "files" (include "bridge.ruleFiles" . | fromJsonArray) -}}
{{- mergeOverwrite $config (dict "listen" $listen "database" $database "targets" $targets "mapping" $mapping "audit" $audit) | toJson -}}
{{- end -}}

{{/*
What of bridge.yaml needs a restart. A running bridge takes over the rest by itself, and a
release that changes nothing else must not restart it: SQLite's one pod would be away meanwhile.
*/}}
{{- define "bridge.restart" -}}
{{- $config := include "bridge.config" . | fromJson -}}
{{- $_ := unset $config "guards" -}}
{{- $_ := set $config "mapping" (omit $config.mapping "files" "default_target") -}}
{{- $targets := list -}}
{{- range $config.targets -}}
{{- $targets = append $targets (omit . "protected") -}}
{{- end -}}
{{- $_ := set $config "targets" $targets -}}
{{- toJson $config | sha256sum -}}
{{- end -}}
