# must be caught by: log/fatal in exec/no-*
# A failure does not say of what.
s/="\$step failed/="it failed/
