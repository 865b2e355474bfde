package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/koinon-eu/koinon/models/release/canonical"
)

// Errors that a caller branches on.
var (
	ErrRedirect = errors.New("redirect to another host refused") // a web server pointed there
	ErrPlain    = errors.New("only https is accepted")
)

// StatusError means that a web server answered with another status than 200.
type StatusError struct {
	URL  string
	Code int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("get %s: the server answers %d %s", e.URL, e.Code, http.StatusText(e.Code))
}

// Client pulls releases. The zero value trusts the system's certificate
// authorities and shows no progress.
type Client struct {
	// Roots are the certificate authorities of the web server; nil means those
	// of the system.
	Roots *x509.CertPool
	// Progress, if not nil, is told how many bytes of how many are there. The
	// second figure comes from the signed statement.
	Progress func(done, total int64)
	// Stall is how long a transfer may stand still; zero means 30 seconds.
	Stall time.Duration
}

func (c *Client) progress(done, total int64) {
	if c.Progress != nil {
		c.Progress(done, total)
	}
}

// check accepts https URLs without user, query or fragment. Plain http is
// allowed to this machine itself only: signatures would still be checked, but
// who pulls what is nobody else's business.
func (c *Client) check(location string) (*url.URL, error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("location: %w", err)
	}
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("location %s: want https://HOST/PATH", u.Redacted())
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, fmt.Errorf("location %s: %w", u, ErrPlain)
	}
	return u, nil
}

func (c *Client) http() (*http.Client, func()) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: c.stall(),
		DisableCompression:    true, // sizes are those of the statement
		ForceAttemptHTTP2:     true,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
			return fmt.Errorf("%w: %s", ErrRedirect, req.URL.Host)
		}
		if len(via) > 3 {
			return errors.New("too many redirects")
		}
		return nil
	}}
	return client, transport.CloseIdleConnections
}

func (c *Client) stall() time.Duration {
	if c.Stall > 0 {
		return c.Stall
	}
	return 30 * time.Second
}

// get reads at most limit bytes; more is an error. seen, if not nil, is told
// how many are there.
func (c *Client) get(ctx context.Context, u *url.URL, limit int64, seen func(int64)) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client, done := c.http()
	defer done()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", u, err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", u, unwrapURL(err))
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusGone {
		if revoked := gone(u, res.Body); revoked != nil {
			return nil, revoked
		}
	}
	if res.StatusCode != http.StatusOK {
		return nil, &StatusError{URL: u.String(), Code: res.StatusCode}
	}
	if res.ContentLength > limit {
		return nil, fmt.Errorf("get %s: %d bytes, limit %d", u, res.ContentLength, limit)
	}
	body := &watched{r: res.Body, seen: seen, stall: c.stall()}
	body.timer = time.AfterFunc(body.stall, func() { cancel(errStalled) })
	defer body.timer.Stop()
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: cut off after %d bytes: %w", u, len(data), err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("get %s: more than %d bytes", u, limit)
	}
	return data, nil
}

// gone reads why a release is given out no more; nil if the answer does not say.
func gone(u *url.URL, body io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(body, maxRevocation))
	var why Revocation
	if err != nil || canonical.Unmarshal(data, maxRevocation, &why) != nil {
		return nil
	}
	return &RevokedError{Name: path.Base(path.Dir(u.Path)), Revocation: why}
}

var errStalled = errors.New("the transfer stands still")

// watched reports what is read and cancels when nothing comes.
type watched struct {
	r     io.Reader
	seen  func(int64)
	stall time.Duration
	timer *time.Timer
	n     int64
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if n > 0 {
		w.timer.Reset(w.stall)
		w.n += int64(n)
		if w.seen != nil {
			w.seen(w.n)
		}
	}
	return n, err
}

// unwrapURL drops the layer that repeats method and URL.
func unwrapURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
