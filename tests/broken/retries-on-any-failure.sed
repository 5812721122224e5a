# must be caught by: calls/exec in retry/not-after-a-status*
# and: exec-status in retry/* exec/* driver/reply-lost
# and: claim log/fatal log/fingerprint in driver/reply-lost
# Every status but 0 leads to a second exec.
s/= 137 /!= 0 /
