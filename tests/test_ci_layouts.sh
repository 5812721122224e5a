#!/bin/sh
# End-to-end test of ci/layouts: a copy of it with descriptions of its own, a mirror made of
# files, and stand-ins for apt-get, mmdebstrap and chroot. Needs root, as ci/layouts does.
set -u
export LC_ALL=C

[ "$(id -u)" = 0 ] || {
    echo "skipped: ci/layouts needs root"
    exit 77
}
repo=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0
failed=0

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        [ ! -f "$dir/log" ] || sed 's/^/    /' "$dir/log"
    fi
}
layouts() { # STATUS ARG...: runs ci/layouts and compares its status
    wanted=$1
    shift
    sh -c 'echo $$ >"$0/pid"; PATH="$0/bin:$PATH" KILLPOINT_LAYOUTS=$0/out \
        exec env --default-signal=INT "$0/home/ci/layouts" "$@"' "$dir" "$@" >"$dir/log" 2>&1 </dev/null
    found=$?
    [ "$found" = "$wanted" ] || echo "expected exit $wanted, found $found" >>"$dir/log"
    [ "$found" = "$wanted" ]
}
says() { # TEXT: what was printed last is this one line
    [ "$(cat "$dir/log")" = "$1" ]
}
builds() { # N: so often was mmdebstrap called since the last time
    found=$(wc -l <"$dir/builds")
    : >"$dir/builds"
    [ "$found" = "$1" ]
}
only() { # NAME...: nothing else is in the layouts folder
    [ "$(find "$dir/out" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | paste -s -d ' ')" = "$*" ]
}
program() { # NAME, text on stdin
    cat >"$dir/bin/$1"
    chmod +x "$dir/bin/$1"
}
describe() { # NAME LINE...
    file=$dir/home/scenarios/layouts/$1.yaml
    printf 'format: 1\nname: %s\ntitle: a \\ "made-up" one\n' "$1" >"$file"
    shift
    printf '%s\n' "$@" >>"$file"
}

mkdir -p "$dir/bin" "$dir/home/ci" "$dir/home/scenarios/layouts/files/sub" "$dir/mirror/dists/tiny"
cp "$repo/ci/layouts" "$dir/home/ci/"
echo 'Date: Sat, 01 Aug 2020 00:00:00 UTC' >"$dir/mirror/dists/tiny/InRelease"
: >"$dir/builds"
program apt-get <<END
#!/bin/sh
[ "\$1" != indextargets ] || printf '%s\n' 'Other|Debian|file:/nowhere' 'Debian|Debian|copy:$dir/mirror'
END
program chroot <<'END'
#!/bin/sh
case $* in
*' update-ca-certificates --fresh') ;;
*) exit 1 ;;
esac
echo updated >>etc/ssl/certs/ca-certificates.crt
END
program mmdebstrap <<END
#!/bin/sh
echo x >>$dir/builds
while [ \$# -gt 3 ]; do shift; done
[ "\$3" = "copy:$dir/mirror" ] || exit 1
mkdir -p "\$2" && cd "\$2" || exit 1
mkdir -p etc/apt etc/ssl/certs etc/ca-certificates/update.d usr/share/ca-certificates/m usr/sbin \\
    usr/share/doc/x var/cache/debconf var/lib/dpkg/info usr/local/share/ca-certificates
[ ! -e $dir/hang ] || { echo >$dir/hanging; exec sleep 60; }
[ ! -e $dir/break ] || { echo 'E: no'; exit 25; }
echo 5.0 >etc/debian_version
echo bundle >etc/ssl/certs/ca-certificates.crt
for root in a b 'ű=c'; do echo "\$root" >"usr/share/ca-certificates/m/\$root.crt"; done
printf '# head\nm/a.crt\n!m/b.crt\nm/ű=c.crt\nm/gone.crt\n' >etc/ca-certificates.conf
printf 'Package: %s\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nMaintainer: x\nDescription: x\n\n' \\
    openssl ca-certificates >var/lib/dpkg/status
echo x >usr/sbin/update-ca-certificates
END

describe tiny 'suite: tiny' 'packages: [ca-certificates, openssl]'
describe tiny-mini 'base: tiny' 'roots: [m/b.crt, m/ű=c.crt]'
describe tiny-all 'base: tiny-mini' 'deselected: [m/ű=c.crt]' 'local: [x.crt, sub/y (1).crt]' 'hook: note'
describe tiny-typo 'base: tiny' 'roots: [m/nonesuch.crt]'
describe tiny-off 'base: tiny' 'deselected: [m/b.crt]'
describe host 'host: true'
describe absent 'suite: absent' 'packages: [openssl]'
for file in x.crt 'sub/y (1).crt' note; do echo "$file" >"$dir/home/scenarios/layouts/files/$file"; done
tree=$dir/out/tiny-all/root
json=$dir/out/tiny-all/layout.json

check 'no name is wrong usage' layouts 2
check 'an unknown name is named' layouts 2 tiny nonesuch
check 'and nothing else is said' says 'ci/layouts: unknown layout nonesuch: no scenarios/layouts/nonesuch.yaml'
check 'a path is no name' layouts 2 ../tiny
check 'nothing was built for wrong usage' builds 0
check 'no mirror serves it: 3' layouts 3 absent
check 'and one line says so' says 'ci/layouts: no mirror that apt uses here answers for Debian absent'
check 'which leaves nothing' only .lock

check 'a variant is built' layouts 0 tiny-all
check 'from a base that is built once' builds 1
check 'with those between' only .lock tiny tiny-all tiny-mini
check 'roots, deselected' [ "$(cat "$tree/etc/ca-certificates.conf")" = '# head
m/b.crt
!m/ű=c.crt' ]
check 'the other roots are gone' [ "$(ls "$tree/usr/share/ca-certificates/m")" = 'b.crt
ű=c.crt' ]
check 'local CAs' [ "$(cat "$tree/usr/local/share/ca-certificates/sub/y (1).crt")" = 'sub/y (1).crt' ]
check 'the hook can be executed' [ -x "$tree/etc/ca-certificates/update.d/note" ]
check 'update-ca-certificates ran for each variant' \
    [ "$(grep -c updated "$tree/etc/ssl/certs/ca-certificates.crt")" = 2 ]
check 'no file is newer than the release' [ -z "$(find "$tree" -newermt '2020-08-01 00:00:01')" ]
check 'what nobody reads is gone' [ ! -e "$tree/usr/share/doc" ]
check 'layout.json names the hook' grep -qF '"hooks": ["note"],' "$json"
check 'it counts the enabled roots' grep -qF '"roots": 1,' "$json"
check 'it escapes strings' grep -qF '"title": "a \\ \"made-up\" one",' "$json"
check 'no mirror is written down' sh -c "! grep -rq '$dir/mirror' '$dir/out'"

check 'what is there' layouts 0 tiny-all tiny
check 'is left alone' builds 0
check 'without a word' says ''
digest=$(grep '"digest"' "$json")
check 'with --force' layouts 0 --force tiny tiny-mini tiny-all
check 'it is built again' builds 1
check 'to the same digest' [ "$(grep '"digest"' "$json")" = "$digest" ]
echo changed >"$dir/home/scenarios/layouts/files/x.crt"
check 'a changed file' layouts 0 tiny-all
check 'leaves the base alone' builds 0
check 'but changes the digest' [ "$(grep '"digest"' "$json")" != "$digest" ]
describe tiny 'suite: tiny' 'packages: [openssl]'
check 'a changed base' layouts 0 tiny-all
check 'is built again' builds 1

check 'a root that is not there' layouts 1 tiny-typo
check 'is named' says 'ci/layouts: tiny-typo: there is no root m/nonesuch.crt'
check 'a root that is off already cannot be deselected' layouts 1 tiny-off
touch "$dir/break"
check 'a failed build' layouts 1 --force tiny
check 'shows why' grep -qx 'E: no' "$dir/log"
rm "$dir/break"
check 'the old one stays, nothing half-built' only .lock tiny tiny-all tiny-mini
check 'and is still good' layouts 0 tiny

for signal in INT:130 TERM:143; do
    touch "$dir/hang"
    rm -f "$dir/hanging"
    # Not in the background by itself: POSIX has such a command ignore SIGINT.
    (
        until [ -e "$dir/hanging" ]; do sleep 0.05; done
        rm "$dir/hang"
        kill -s "${signal%:*}" "$(cat "$dir/pid")"
    ) &
    check "stopped by $signal" layouts "${signal#*:}" --force tiny
    wait
    check "$signal leaves no half tree" only .lock tiny tiny-all tiny-mini
done

: >"$dir/builds"
rm -rf "$dir/out"
layouts 0 tiny &
PATH="$dir/bin:$PATH" KILLPOINT_LAYOUTS=$dir/out "$dir/home/ci/layouts" tiny-mini >/dev/null 2>&1
check 'a second call at once waits' wait $!
check 'and builds nothing twice' builds 1

check 'the host is described' layouts 0 host
echo "test_ci_layouts: $passed passed, $failed failed"
[ "$failed" = 0 ]
