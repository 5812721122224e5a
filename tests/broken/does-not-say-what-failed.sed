# must be caught by: log/fatal in exec/no-*
# and: log/contains in cp/* retry/* kill/twice
# A failure is one word.
s/echo "\$failure"/echo failed/
