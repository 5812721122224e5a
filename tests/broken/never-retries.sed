# must be caught by: calls/exec in kill/*
# and: claim exec-status log/label log/fingerprint store/* in kill/* retry/*
# The killed exec is final.
s/= 137 /= none /
