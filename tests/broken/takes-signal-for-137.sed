# must be caught by: calls/exec in driver/client-killed
# and: claim exec-status log/fatal log/fingerprint in driver/client-killed
# with: seen.yaml
# A driver that died of SIGKILL counts as status 137.
