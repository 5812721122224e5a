# must be caught by: calls/exec in cp/*
# and: claim log/fatal log/fingerprint log/contains in cp/*
# and: log/fatal in machines/missing
# The exec runs whatever became of the copy.
/^run cp/{
n
d
}
