#!/bin/sh
# The upstream contract in POSIX sh: one cp, one exec, one more exec after status 137.
# docker-sh.sh MACHINE PLAN CA_PATH BUNDLE
machine=$1 plan=$2 ca=$3 bundle=$4

refuse() {
    echo "$1" >&2
    exit 2
}
run() { # STEP COMMAND...; sets status and failure
    step=$1
    shift
    said=$("$@" 2>&1)
    status=$?
    failure="$step failed: exit status $status, it said '$(echo "$said" | tr '\n' ' ')'"
}
fail() {
    echo "$failure" >&2
    exit 1
}

# With a route it is the egress CA. Good for plans without a brace or a quote in a path.
json=$(tr -d '[:space:]' <"$plan")
case $json in *'"routes":["'*) label=egress ;; *) label=pipelock ;; esac
cert=$(echo "$json" | sed 's/.*"'$label'":{[^}]*"ca_cert":"\([^"]*\)".*/\1/')
case $cert in /*) ;; *) cert=${plan%/*}/$cert ;; esac

count=$(grep -c -e '-----BEGIN CERTIFICATE-----' "$cert" 2>/dev/null)
[ "$count" = 1 ] || refuse "$cert holds not one certificate"
print=$(openssl x509 -in "$cert" -noout -fingerprint -sha256) || refuse "$cert is unusable"

run cp docker cp "$cert" "$machine:$ca"
[ $status = 0 ] || fail

set -- docker exec -u 0 "$machine" sh -c "chown root:root '$ca' &&
chmod 644 '$ca' &&
update-ca-certificates &&
openssl verify -CAfile '$bundle' '$ca'"
run exec "$@"
if [ $status = 137 ]; then
    sleep 1
    run 'second exec' "$@"
fi
[ $status = 0 ] || fail
echo "installed the $label CA ${print#*=}" >&2
