#!/bin/sh
# Makes the Secrets that the chart asks for, or brings them up to date; what exists in the directory is kept.
#
#   k8s/create-secrets.sh NAMESPACE DIRECTORY ['postgresql://nhip:PASSWORD@HOST:5432/nhip_{service}']
#
# DIRECTORY/secrets holds the keys afterwards, readable by you alone: keep a copy in a safe place, since whoever loses
# citizen_key or audit_key cannot make them again. Without a URL only the platform's keys are made, for databases by
# CloudNativePG. Secrets go to kubectl through files, never through arguments, which others could see.
set -eu
[ $# -ge 2 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
namespace=$1 directory=$2 template=${3:-}
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
umask 077

PYTHONPATH=$root "$python" -c 'import pathlib, sys; from tools.nhip.home import Home; Home(pathlib.Path(sys.argv[1])).prepare()' "$directory"

apply() {
  kubectl --namespace "$namespace" create secret generic "$@" --dry-run=client --output=yaml |
    kubectl --namespace "$namespace" apply --filename=-
}

set -- "${NHIP_SECRET:-nhip-secrets}"
for key in platform_key citizen_key bootstrap_client exchange_client audit_key; do
  set -- "$@" "--from-file=$key=$directory/secrets/$key"
done
apply "$@"

[ -n "$template" ] || exit 0
case $template in
  *'{service}'*) ;;
  *) echo "the URL must contain {service}, as in postgresql://nhip:…@db.example:5432/nhip_{service}" >&2; exit 2 ;;
esac
urls=$directory/databases.env
: > "$urls"
for service in audit claims exchange identity patient_index records surveillance; do
  printf '%s=%s%s%s\n' "$service" "${template%%'{service}'*}" "$service" "${template#*'{service}'}" >> "$urls"
done
apply "${NHIP_DATABASES_SECRET:-nhip-databases}" "--from-env-file=$urls"
