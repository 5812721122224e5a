# must be caught by: claim in kill/twice
# and: log/fatal log/contains log/fingerprint in kill/twice
# After a retry all is well.
/second exec/a status=0
