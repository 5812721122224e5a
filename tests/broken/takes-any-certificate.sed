# must be caught by: calls/cp in certificate/unusable[file=two]
# and: claim calls/exec exit log/fingerprint in certificate/unusable[file=two]
# A file with two certificates is sent.
s/"\$count" = 1/"$count" -gt 0/
