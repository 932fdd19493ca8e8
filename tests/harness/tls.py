"""A self-signed certificate for 127.0.0.1, made with openssl."""

import ssl
import subprocess


class Certificate:
    """Paths of the certificate (which is its own CA file) and of its key."""

    def __init__(self, ws, name=""):
        self.cert = ws.path(name + "cert.pem")
        self.key = ws.path(name + "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=kiseki test",
             "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
             "-keyout", self.key, "-out", self.cert],
            check=True, capture_output=True)

    def context(self):
        return ssl.create_default_context(cafile=self.cert)
