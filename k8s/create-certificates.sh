#!/bin/sh
# Brings certificates of an authority of one's own into the Secrets that the chart asks for with `certificates.enabled`:
#
#   .venv/bin/nhip certificates make DIRECTORY
#   k8s/create-certificates.sh NAMESPACE DIRECTORY [PREFIX]
#
# PREFIX is the chart's certificates.secretPrefix, nhip-tls for a release called nhip. The authority's own key stays in DIRECTORY.
# What has not changed is left as it is, so that both can be run again and again.
set -eu
[ $# -ge 2 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
namespace=$1 directory=$2 prefix=${3:-nhip-tls}
for service in audit claims edge exchange identity patient_index records surveillance; do
  folder=$directory/$service
  kubectl --namespace "$namespace" create secret generic "$prefix-$(echo "$service" | tr _ -)" --type=kubernetes.io/tls \
    "--from-file=tls.crt=$folder/tls.crt" "--from-file=tls.key=$folder/tls.key" "--from-file=ca.crt=$folder/ca.crt" \
    --dry-run=client --output=yaml |
    kubectl --namespace "$namespace" apply --filename=-
done
