{{/*
What cannot work is refused here, all of it at once, before anything reaches the cluster.
What has the wrong form is refused by values.schema.json.
*/}}
{{- define "bridge.validate" -}}
{{- $wrong := list -}}
{{- $v := .Values -}}
{{- $postgres := include "bridge.postgres" . -}}
{{- if not $v.image.repository -}}
{{- $wrong = append $wrong "image.repository is not set: build the image (Dockerfile), push it where the cluster can pull it, and name it" -}}
{{- end -}}
{{- if not $v.database.url -}}
{{- $wrong = append $wrong "database.url is not set: postgres://USER@HOST/NAME, or sqlite:/var/lib/matomo-scim-bridge/bridge.db for one replica" -}}
{{- else if $postgres -}}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/]*@" $v.database.url -}}
{{- $wrong = append $wrong "database.url holds a password: take it out, and name a Secret in database.passwordSecret" -}}
{{- end -}}
{{- if not $v.database.passwordSecret.name -}}
{{- $wrong = append $wrong "database.passwordSecret.name is not set: name a Secret with PostgreSQL's password" -}}
{{- end -}}
{{- else -}}
{{- if gt (int $v.replicaCount) 1 -}}
{{- $wrong = append $wrong (printf "replicaCount is %d and the database is SQLite, which one process uses: set replicaCount to 1, or database.url to PostgreSQL" (int $v.replicaCount)) -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- $wrong = append $wrong "autoscaling.enabled and the database is SQLite, which one process uses: switch it off, or set database.url to PostgreSQL" -}}
{{- end -}}
{{- if $v.database.passwordSecret.name -}}
{{- $wrong = append $wrong "database.passwordSecret is PostgreSQL's, and the database is SQLite: take one of them out" -}}
{{- end -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $wrong = append $wrong "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not $v.targets -}}
{{- $wrong = append $wrong "targets is empty: name the Matomo to manage" -}}
{{- end -}}
{{- $names := list -}}
{{- range $i, $t := $v.targets -}}
{{- if not $t.tokenSecret.name -}}
{{- $wrong = append $wrong (printf "targets[%d].tokenSecret.name is not set: name a Secret with the token_auth of %s" $i $t.login) -}}
{{- end -}}
{{- if has $t.name $names -}}
{{- $wrong = append $wrong (printf "targets[%d].name: %s is there twice" $i $t.name) -}}
{{- end -}}
{{- $names = append $names $t.name -}}
{{- end -}}
{{- $theirs := $v.rules.existingConfigMap -}}
{{- if and $v.rules.files $theirs.name -}}
{{- $wrong = append $wrong "rules.files and rules.existingConfigMap are both set: rules come from one of them" -}}
{{- else if and $theirs.name (not $theirs.keys) -}}
{{- $wrong = append $wrong "rules.existingConfigMap.keys is empty: name the files in it" -}}
{{- else if not (or $v.rules.files $theirs.name) -}}
{{- $wrong = append $wrong "there are no rules: write rules.files, or name a ConfigMap in rules.existingConfigMap" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) -}}
{{- $wrong = append $wrong "ingress.host is not set: name the host that the identity provider calls" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nmatomo-scim-bridge: these values cannot work:\n  * %s\n" (join "\n  * " $wrong)) -}}
{{- end -}}
{{- end -}}
