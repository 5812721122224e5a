# must be caught by: processes in install/undisturbed
# shows undisturbed
# Something goes on when the backend has ended.
/^run cp/i sleep 60 >/dev/null 2>&1 &
