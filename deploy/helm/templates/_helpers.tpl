{{- /* Names, labels, and what all pods have in common. */ -}}
{{- define "saga.name" -}}
{{- if contains "saga" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-saga{{ end -}}
{{- end }}

{{- define "saga.selector" -}}
app.kubernetes.io/name: saga-orchestrator
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "saga.labels" -}}
{{ include "saga.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- /* The pod of `helm test` is none of the release's own pods, whose connections a NetworkPolicy limits. */ -}}
{{- define "saga.test" -}}
app.kubernetes.io/name: saga-orchestrator-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "saga.without-rights" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "saga.pod" -}}
{{ include "saga.without-rights" . }}
{{- with .root.Values.initContainers }}
initContainers: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.serviceAccountName }}
serviceAccountName: {{ . | quote }}
{{- end }}
# Kubernetes would set a variable such as REDIS_PORT for each service; such variables could be taken for settings.
enableServiceLinks: false
volumes:
  - {name: tmp, emptyDir: {sizeLimit: 256Mi}}
  {{- with .root.Values.sagas.configMap }}
  - name: sagas
    configMap: {name: {{ . | quote }}}
  {{- end }}
  {{- with (.root.Values.tls).caSecret }}
  - name: tls
    secret: {secretName: {{ . | quote }}}
  {{- end }}
  {{- with .root.Values.extraVolumes }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

{{- define "saga.image" -}}
image: "{{ .root.Values.image.repository }}{{ with .root.Values.image.digest }}@{{ . }}{{ else }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end }}"
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- end }}

{{- define "saga.no-escalation" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* The settings stand in the pod itself, so a changed setting replaces the pods, and the hook needs no ConfigMap. */ -}}
{{- define "saga.container" -}}
{{ include "saga.image" . }}
envFrom:
  - secretRef: {name: {{ .root.Values.existingSecret | quote }}}
  {{- with .owner }}
  - secretRef: {name: {{ . | quote }}}
  {{- end }}
env:
  {{- range $name, $value := .root.Values.settings }}
  {{- if not (and $.owner (eq $name "DB_USERNAME")) }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
  {{- end }}
  {{- if .root.Values.sagas.configMap }}
  - {name: SAGAS, value: /sagas}
  {{- end }}
  {{- with .root.Values.tls }}
  {{- if .caSecret }}
  - {name: SSL_CERT_FILE, value: {{ printf "/run/tls/%s" (.key | default "ca.crt") | quote }}}
  - {name: PGSSLROOTCERT, value: {{ printf "/run/tls/%s" (.key | default "ca.crt") | quote }}}
  - {name: PGSSLMODE, value: {{ .postgres | default "verify-full" | quote }}}
  {{- end }}
  {{- end }}
  {{- range $name, $value := .env }}
  - {name: {{ $name }}, value: {{ $value | toString | quote }}}
  {{- end }}
  {{- with .root.Values.extraEnv }}{{ toYaml . | nindent 2 }}{{ end }}
{{ include "saga.no-escalation" . }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if .root.Values.sagas.configMap }}
  - {name: sagas, mountPath: /sagas, readOnly: true}
  {{- end }}
  {{- if (.root.Values.tls).caSecret }}
  - {name: tls, mountPath: /run/tls, readOnly: true}
  {{- end }}
  {{- with .root.Values.extraVolumeMounts }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

{{- /* Where the pods of a role run: spread over zones and hosts, unless `affinity` says otherwise. */ -}}
{{- define "saga.placement" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "saga.selector" $ | nindent 8 }}
  {{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}
