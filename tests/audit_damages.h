/*
 * audit_damages.h: what test_audit.c does to a whole store, and which checks must fail then.
 */
#ifndef KILLPOINT_TESTS_AUDIT_DAMAGES_H
#define KILLPOINT_TESTS_AUDIT_DAMAGES_H

#define SHARE "usr/share/ca-certificates/kp"
#define LOCAL "usr/local/share/ca-certificates"
#define CERTS "etc/ssl/certs"

struct damage {
    const char *name;
    const char *script; /* runs in the copied root, with $A $B $T $OFF $CA $FIX */
    const char *failing;
};

static const struct damage harmless[] = {
    {"undisturbed", ":", ""},
    {"a listed root is not installed", "echo kp/Gone.crt >>etc/ca-certificates.conf", ""},
    {"the package's other file and its hash links",
     "cp " SHARE "/Off.crt " CERTS "/other.pem; cd " CERTS "; ln -s other.pem $OFF.0; "
     "ln -s other.pem $OFF.1; mkdir java; echo x >java/cacerts",
     ""},
    {"another local CA",
     "cp $FIX/pipelock.crt " LOCAL "/other.crt; cat $FIX/pipelock.crt >>" CERTS
     "/ca-certificates.crt; cd " CERTS "; ln -s /" LOCAL "/other.crt other.pem; "
     "ln -s other.pem a4c30883.0",
     ""},
    {"a local copy of a root that is enabled anyway",
     "cp " SHARE "/A.crt " LOCAL "/copy.crt; cat " SHARE "/A.crt >>" CERTS
     "/ca-certificates.crt; ln -s /" LOCAL "/copy.crt " CERTS "/copy.pem",
     ""},
    {"text between the certificates", "echo '# text' >>" CERTS "/ca-certificates.crt", ""},
    {"local files that hold no certificate",
     "cp $FIX/none.crt " LOCAL "/none.crt; cp $FIX/der.crt " LOCAL "/der.crt; : >" LOCAL
     "/empty.crt",
     ""},
    {"local folders in a loop", "ln -s . " LOCAL "/loop; ln -s /usr/local " LOCAL "/up", ""},
};

static const struct damage damages[] = {
    {"no CA file", "rm " LOCAL "/bot-bottle-mitm.crt",
     "must/ca-file must/ca-file-mode must/ca-file-bytes must/hashdir-finds-ca must/tls-hashdir "
     "should/no-dangling-links"},
    {"the CA file is a link",
     "mv " LOCAL "/bot-bottle-mitm.crt tmp/x; ln -s /tmp/x " LOCAL "/bot-bottle-mitm.crt",
     "must/ca-file must/ca-file-mode must/ca-file-bytes"},
    {"mode 0600", "chmod 600 " LOCAL "/bot-bottle-mitm.crt", "must/ca-file-mode"},
    {"mode 4644", "chmod 4644 " LOCAL "/bot-bottle-mitm.crt", "must/ca-file-mode"},
    {"another owner", "chown 1 " LOCAL "/bot-bottle-mitm.crt", "must/ca-file-mode"},
    {"another group", "chgrp 1 " LOCAL "/bot-bottle-mitm.crt", "must/ca-file-mode"},
    {"one byte more", "echo >>" LOCAL "/bot-bottle-mitm.crt", "must/ca-file-bytes"},
    {"another CA in the file", "cat $FIX/rotated.crt >" LOCAL "/bot-bottle-mitm.crt",
     "must/ca-file-bytes must/hashdir-finds-ca must/tls-hashdir should/no-stray-links"},
    {"no bundle", "rm " CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-readable must/bundle-has-ca must/bundle-has-roots "
     "must/tls-bundle"},
    {"empty bundle", ": >" CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-has-ca must/bundle-has-roots must/tls-bundle"},
    {"bundle torn in its last certificate", "truncate -s -100 " CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-has-ca must/tls-bundle"},
    {"bundle torn in its first certificate", "truncate -s 100 " CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-has-ca must/bundle-has-roots must/tls-bundle"},
    {"a block of rubbish in the bundle",
     "printf -- '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n' >>" CERTS
     "/ca-certificates.crt",
     "must/bundle-parses must/tls-bundle"},
    {"bundle for root only", "chmod 600 " CERTS "/ca-certificates.crt", "must/bundle-readable"},
    {"bundle without the CA",
     "cd " SHARE "; cat A.crt B.crt T1.crt T2.crt >../../../../" CERTS "/ca-certificates.crt",
     "must/bundle-has-ca must/tls-bundle"},
    {"bundle without a root",
     "cd " SHARE "; cat A.crt T1.crt T2.crt $FIX/ca.crt >../../../../" CERTS "/ca-certificates.crt",
     "must/bundle-has-roots"},
    {"another local CA is not in the store", "cp $FIX/pipelock.crt " LOCAL "/other.crt",
     "must/bundle-has-roots must/hashdir-finds-roots"},
    {"an enabled root's file is empty", ": >" SHARE "/A.crt",
     "must/bundle-has-roots should/bundle-nothing-else should/no-stray-links"},
    {"no hash link for the CA", "rm " CERTS "/$CA.0", "must/hashdir-finds-ca must/tls-hashdir"},
    {"hash link for the CA out of order", "mv " CERTS "/$CA.0 " CERTS "/$CA.1",
     "must/hashdir-finds-ca must/tls-hashdir"},
    {"the CA's hash link leads to another root", "ln -sfn A.pem " CERTS "/$CA.0",
     "must/hashdir-finds-ca must/tls-hashdir should/no-stray-links"},
    {"no hash link for a root", "rm " CERTS "/$A.0", "must/hashdir-finds-roots"},
    {"no hash link for the first twin", "rm " CERTS "/$T.0", "must/hashdir-finds-roots"},
    {"no hash link for the second twin", "rm " CERTS "/$T.1", "must/hashdir-finds-roots"},
    {"both twins' links lead to one", "ln -sfn T1.pem " CERTS "/$T.1",
     "must/hashdir-finds-roots should/no-stray-links"},
    {"a root twice in the bundle", "cat " SHARE "/A.crt >>" CERTS "/ca-certificates.crt",
     "should/bundle-no-duplicates"},
    {"the CA three times in the bundle",
     "cat $FIX/ca.crt $FIX/ca.crt >>" CERTS "/ca-certificates.crt", "should/bundle-no-duplicates"},
    {"an older CA in the bundle", "cat $FIX/rotated.crt >>" CERTS "/ca-certificates.crt",
     "should/bundle-nothing-else"},
    {"a link that dangles", "ln -s nowhere " CERTS "/x.pem", "should/no-dangling-links"},
    {"a link to itself", "ln -s x.pem " CERTS "/x.pem", "should/no-dangling-links"},
    {"a hash link that dangles", "ln -s nowhere " CERTS "/01234567.0", "should/no-dangling-links"},
    {"a deselected root's link", "ln -s /" SHARE "/Off.crt " CERTS "/Off.pem",
     "should/no-stray-links"},
    {"a second hash link", "ln -s bot-bottle-mitm.pem " CERTS "/$CA.1", "should/no-stray-links"},
    {"a hash link to a text", "echo x >" CERTS "/x; ln -s x " CERTS "/01234567.0",
     "should/no-stray-links"},
    {"bundle.new", ": >" CERTS "/ca-certificates.crt.new", "should/no-temporaries"},
    {"a helper file", ": >tmp/ca-certificates.tmp.Ab12Cd", "should/no-temporaries"},
    {"bullseye's bundle", ": >tmp/ca-certificates.crt.tmp.Ab12Cd", "should/no-temporaries"},
    {"half an upload", ": >" LOCAL "/bot-bottle-mitm.crt.smolvm-upload.1.7",
     "should/no-temporaries"},
    {"half an upload of 1.7.3", ": >" LOCAL "/.smolvm-upload.1.bot-bottle-mitm.crt",
     "should/no-temporaries"},
    {"half an ln -sf", "ln -s /" SHARE "/A.crt " CERTS "/CuAb12Cd", "should/no-temporaries"},
    {"an upload's rest that an update took for a CA",
     "cd " LOCAL "; u=.smolvm-upload.1.bot-bottle-mitm; cp $FIX/ca.crt $u.crt; "
     "cat $u.crt >>../../../../" CERTS "/ca-certificates.crt; "
     "ln -s /" LOCAL "/$u.crt ../../../../" CERTS "/$u.pem",
     "should/bundle-no-duplicates should/no-stray-links should/no-temporaries"},
    {"no ca-certificates.conf", "rm etc/ca-certificates.conf",
     "must/bundle-has-roots must/hashdir-finds-roots should/bundle-nothing-else "
     "should/no-stray-links"},
    {"a last line that nobody reads", "truncate -s -1 etc/ca-certificates.conf",
     "should/bundle-nothing-else should/no-stray-links"},
};

static const struct damage hostile[] = {
    {"the bundle is a FIFO",
     "rm " CERTS "/ca-certificates.crt; mkfifo -m 644 " CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-has-ca must/bundle-has-roots must/tls-bundle"},
    {"the bundle is a folder",
     "rm " CERTS "/ca-certificates.crt; mkdir " CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-has-ca must/bundle-has-roots must/tls-bundle"},
    {"the bundle is an endless device",
     "cd " CERTS "; rm ca-certificates.crt; mknod -m 644 ca-certificates.crt c 1 5",
     "must/bundle-parses must/bundle-has-ca must/bundle-has-roots must/tls-bundle"},
    {"the bundle is a link to itself", "ln -sfn ca-certificates.crt " CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-readable must/bundle-has-ca must/bundle-has-roots "
     "must/tls-bundle should/no-dangling-links"},
    {"the bundle is huge", "truncate -s 100G " CERTS "/ca-certificates.crt",
     "must/bundle-parses must/bundle-has-ca must/bundle-has-roots must/tls-bundle"},
    {"the CA file is a FIFO",
     "rm " LOCAL "/bot-bottle-mitm.crt; mkfifo -m 644 " LOCAL "/bot-bottle-mitm.crt",
     "must/ca-file must/ca-file-mode must/ca-file-bytes must/hashdir-finds-ca must/tls-hashdir "
     "should/no-stray-links"},
    {"a local FIFO, a local huge file and a name of control bytes",
     "cd " LOCAL "; mkfifo f.crt; truncate -s 100G huge.crt; : >\"$(printf 'a\\033[2J\\n.crt')\"",
     ""},
    {"a stray link of control bytes",
     "ln -s /" SHARE "/Off.crt \"" CERTS "/$(printf 'a\\033[2J\\377.pem')\"",
     "should/no-stray-links"},
    {"local folders too deep to be true",
     "cd " LOCAL "; i=0; while [ $i -lt 100 ]; do mkdir d; cd d; i=$((i+1)); done; "
     "cp $FIX/pipelock.crt deep.crt",
     ""},
    {"a FIFO has the CA's hash", "cd " CERTS "; rm $CA.0; mkfifo $CA.0",
     "must/hashdir-finds-ca must/tls-hashdir"},
    {"a device has a root's hash", "cd " CERTS "; mknod $T.2 c 1 5", "must/hashdir-finds-roots"},
    {"no hash directory", "rm -r " CERTS,
     "must/bundle-parses must/bundle-readable must/bundle-has-ca must/bundle-has-roots "
     "must/hashdir-finds-ca must/hashdir-finds-roots must/tls-bundle must/tls-hashdir "
     "should/no-dangling-links"},
    {"the list of roots is a FIFO", "rm etc/ca-certificates.conf; mkfifo etc/ca-certificates.conf",
     "must/bundle-has-roots must/hashdir-finds-roots should/bundle-nothing-else "
     "should/no-stray-links"},
    {"the list of roots leads out and about",
     "printf '../../../../../../dev/zero\\n../../../etc\\n' >>etc/ca-certificates.conf", ""},
};

#endif
