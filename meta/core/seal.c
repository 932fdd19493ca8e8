#include "meta/core/seal.h"

#include "base/rand.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#define FORM_PLAIN  0
#define FORM_SEALED 1
#define NONCE_BYTES 12
#define TAG_BYTES   16

bool seal_is_sealed(struct str sealed)
{
    return sealed.len > 0 && sealed.ptr[0] == FORM_SEALED;
}

/* Context and secret are short; OpenSSL counts in int. */
static bool too_long(struct str s)
{
    return s.len > INT_MAX / 2;
}

/* OpenSSL takes NULL for something else than "no bytes". */
static const uint8_t *bytes_of(struct str s)
{
    return (const uint8_t *)(s.ptr != NULL ? s.ptr : "");
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key, struct str context, struct str secret,
                    uint8_t *nonce, uint8_t *text, uint8_t *tag)
{
    int n = 0;
    return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &n, bytes_of(context), (int)context.len) == 1 &&
           EVP_EncryptUpdate(ctx, text, &n, bytes_of(secret), (int)secret.len) == 1 &&
           EVP_EncryptFinal_ex(ctx, text + secret.len, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
}

static enum err decrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key, struct str context,
                        const uint8_t *nonce, struct str text, uint8_t *tag, uint8_t *secret)
{
    int n = 0;
    bool ready = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
                 EVP_DecryptUpdate(ctx, NULL, &n, bytes_of(context), (int)context.len) == 1 &&
                 EVP_DecryptUpdate(ctx, secret, &n, bytes_of(text), (int)text.len) == 1 &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1;

    if (!ready)
        return err_set(ERR_NOMEM, "OpenSSL would not decrypt");
    if (EVP_DecryptFinal_ex(ctx, secret + text.len, &n) != 1)
        return err_set(ERR_DENIED, "a stored secret was not sealed under this master key");
    return OK;
}

enum err seal(const uint8_t *key, struct str context, struct str secret, struct arena *a,
              struct str *out)
{
    *out = STR_NONE;
    if (too_long(context) || too_long(secret))
        return err_set(ERR_TOO_LARGE, "too long to be sealed");
    uint8_t *form = arena_alloc(a, secret.len + SEAL_OVERHEAD);
    if (form == NULL)
        return err_set(ERR_NOMEM, "no memory for a sealed secret");
    if (key == NULL) {
        form[0] = FORM_PLAIN;
        if (secret.len > 0)
            memcpy(form + 1, secret.ptr, secret.len);
        *out = (struct str){(char *)form, secret.len + 1};
        return OK;
    }
    uint8_t *nonce = form + 1;
    uint8_t *text = nonce + NONCE_BYTES;
    form[0] = FORM_SEALED;
    rand_bytes(nonce, NONCE_BYTES);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool done = ctx != NULL && encrypt(ctx, key, context, secret, nonce, text, text + secret.len);
    EVP_CIPHER_CTX_free(ctx);
    if (!done)
        return err_set(ERR_NOMEM, "OpenSSL would not encrypt");
    *out = (struct str){(char *)form, secret.len + SEAL_OVERHEAD};
    return OK;
}

enum err unseal(const uint8_t *key, struct str context, struct str sealed, struct arena *a,
                struct str *out)
{
    *out = STR_NONE;
    if (sealed.len > 0 && sealed.ptr[0] == FORM_PLAIN) {
        *out = arena_str(a, str_sub(sealed, 1, sealed.len));
        return out->ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory for a secret");
    }
    if (sealed.len < SEAL_OVERHEAD || sealed.ptr[0] != FORM_SEALED || too_long(sealed) ||
        too_long(context))
        return err_set(ERR_CORRUPT, "a stored secret has neither form");
    if (key == NULL)
        return err_set(ERR_DENIED, "a stored secret is sealed and there is no master key");
    struct str text = str_sub(sealed, 1 + NONCE_BYTES, sealed.len - SEAL_OVERHEAD);
    uint8_t tag[TAG_BYTES];
    memcpy(tag, text.ptr + text.len, TAG_BYTES);
    uint8_t *secret = arena_alloc(a, text.len + 1);
    if (secret == NULL)
        return err_set(ERR_NOMEM, "no memory for a secret");
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    enum err err =
        ctx != NULL ? decrypt(ctx, key, context, (const uint8_t *)sealed.ptr + 1, text, tag, secret)
                    : err_set(ERR_NOMEM, "no memory to unseal");
    EVP_CIPHER_CTX_free(ctx);
    if (err != OK)
        return err;
    *out = (struct str){(char *)secret, text.len};
    return OK;
}
