package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"
)

// s3 is a client of one gateway: just what the workload needs, without retries, so that every
// answer is told as it came.
type s3 struct {
	endpoint, host, access, secret string
	http                           *http.Client
}

type answer struct {
	status int
	etag   string
	body   []byte
	err    error // the connection broke: the outcome is unknown
}

func newS3(endpoint, access, secret string, timeout time.Duration) *s3 {
	host := strings.TrimPrefix(endpoint, "http://")
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			// Small, so that a slow reader is felt by the gateway.
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}
	return &s3{endpoint, host, access, secret, &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DialContext: dial},
	}}
}

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// sign adds AWS Signature Version 4 with an unsigned payload.
func (s *s3) sign(r *http.Request) {
	now := time.Now().UTC()
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	r.Header.Set("x-amz-date", stamp)
	r.Header.Set("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
	names, lines := []string{"host"}, "host:"+s.host+"\n"
	for name := range r.Header {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			names = append(names, strings.ToLower(name))
		}
	}
	sort.Strings(names)
	for _, name := range names[1:] {
		lines += name + ":" + r.Header.Get(name) + "\n"
	}
	canonical := fmt.Sprintf("%s\n%s\n%s\n%s\n%s\nUNSIGNED-PAYLOAD",
		r.Method, r.URL.EscapedPath(), r.URL.RawQuery, lines, strings.Join(names, ";"))
	hash := sha256.Sum256([]byte(canonical))
	scope := day + "/us-east-1/s3/aws4_request"
	toSign := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	key := hmacOf(hmacOf(hmacOf(hmacOf([]byte("AWS4"+s.secret), day), "us-east-1"), "s3"), "aws4_request")
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		s.access, scope, strings.Join(names, ";"), hex.EncodeToString(hmacOf(key, toSign))))
}

// request sends it; `read` takes the body (nil: whole, into the answer).
func (s *s3) request(method, path string, query url.Values, headers map[string]string, body []byte,
	read func(io.Reader) error) answer {
	target := s.endpoint + path
	if len(query) > 0 {
		target += "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	r, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		r.Header.Set(name, headers[name])
	}
	s.sign(r)
	got, err := s.http.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer got.Body.Close()
	a := answer{status: got.StatusCode, etag: strings.Trim(got.Header.Get("ETag"), `"`)}
	if read != nil && got.StatusCode == 200 {
		a.err = read(got.Body)
	} else {
		a.body, a.err = io.ReadAll(got.Body)
	}
	return a
}
