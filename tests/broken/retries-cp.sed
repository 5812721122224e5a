# must be caught by: calls/cp in cp/*
# and: claim calls/exec log/fatal log/fingerprint log/contains in cp/fails cp/lost-* cp/torn
# A copy that fails is tried once more.
/^run cp/a [ $status = 0 ] || run cp smolvm machine cp "$cert" "$machine:$ca"
