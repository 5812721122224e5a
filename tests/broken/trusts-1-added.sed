# must be caught by: idempotent in rotation/same-ca-twice
# and: claim log/label log/fingerprint in rotation/* partial/* kill/after-end
# Success is what says "1 added".
/^fi$/,$s/^\[ \$status = 0 \]/case $said in *'1 added'*) ;; *) false ;; esac/
