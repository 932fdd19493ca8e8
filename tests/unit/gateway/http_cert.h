/* Certificates for the tests that speak TLS. */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_HTTP_CERT_H
#define KISEKI_TESTS_UNIT_GATEWAY_HTTP_CERT_H

#include "tests/unit/base/unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

/* A self-signed certificate for localhost; takes the key. */
static inline void cert_write_pair(EVP_PKEY *key, const char *cert_file, const char *key_file,
                                   long serial)
{
    X509 *cert = X509_new();
    assert_non_null(key);
    assert_non_null(cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *f = fopen(cert_file, "w");
    assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
    f = fopen(key_file, "w");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static inline void cert_make_pair(const char *cert_file, const char *key_file, long serial)
{
    cert_write_pair(EVP_EC_gen("P-256"), cert_file, key_file, serial);
}

/* A certificate and its key in a folder of their own, from group setup to group teardown. */
struct cert_files {
    char folder[40];
    char cert[60], key[60];
};

static inline int cert_files_make(struct cert_files *f)
{
    snprintf(f->folder, sizeof(f->folder), "/tmp/kiseki-cert-XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    snprintf(f->cert, sizeof(f->cert), "%s/cert.pem", f->folder);
    snprintf(f->key, sizeof(f->key), "%s/key.pem", f->folder);
    cert_make_pair(f->cert, f->key, 1);
    return 0;
}

static inline int cert_files_remove(struct cert_files *f)
{
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->folder);
    return 0;
}

#endif
