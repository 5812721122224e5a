# must be caught by: log/fatal in exec/no-*
# A failure does not say with which status.
s/exit status \$status, //
