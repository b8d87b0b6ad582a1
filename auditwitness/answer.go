package auditwitness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
)

const (
	maxAnswer = 64 << 10
	maxCause  = 200 // of a witness's own words in an error
)

// answer is what a witness sent back.
type answer struct {
	status int
	kind   string // the media type
	body   []byte
}

// sizeError is a 409: the witness has another size.
type sizeError struct{ size int64 }

func (e *sizeError) Error() string { return fmt.Sprintf("the witness has size %d", e.size) }

// post sends a request. It reads no more of an answer than an answer may have.
func (c *Client) post(ctx context.Context, r request) (answer, error) {
	sent, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(r.body()))
	if err != nil {
		return answer{}, fmt.Errorf("making the request: %w: %w", ErrConfig, err)
	}
	sent.Header.Set("Content-Type", "text/plain; charset=utf-8")
	got, err := c.http.Do(sent)
	if err != nil {
		return answer{}, unavailable(ctx, err)
	}
	defer got.Body.Close() //nolint:errcheck // it was read as far as it counts
	body, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer+1))
	if err != nil {
		return answer{}, unavailable(ctx, err)
	}
	if len(body) > maxAnswer {
		return answer{}, fmt.Errorf("it has more than %d bytes: %w", maxAnswer, ErrAnswer)
	}
	kind, _, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	return answer{status: got.StatusCode, kind: kind, body: body}, nil
}

// unavailable leaves the URL out, which may hold a password.
func unavailable(ctx context.Context, err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// cosignature returns the cosignature of a key on a checkpoint's text.
func (a answer) cosignature(text string, key *seal.Witness) (seal.Cosignature, error) {
	if a.status != http.StatusOK {
		return seal.Cosignature{}, a.err()
	}
	lines := string(a.body)
	if !strings.HasPrefix(lines, "— ") || !strings.HasSuffix(lines, "\n") || strings.Contains(lines, "\n\n") {
		return seal.Cosignature{}, fmt.Errorf("it has other lines than signatures: %w", ErrAnswer)
	}
	found, err := seal.Cosignatures([]byte(text+"\n"+lines), key)
	if err != nil {
		return seal.Cosignature{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if len(found) == 0 {
		return seal.Cosignature{}, fmt.Errorf("it is signed by other keys: %w", ErrAnswer)
	}
	return found[0], nil
}

// err is the error of any other answer than 200.
func (a answer) err() error {
	switch {
	case a.status == http.StatusConflict:
		return a.size()
	case a.status == http.StatusUnprocessableEntity:
		return ErrRewritten
	case a.status == http.StatusNotFound:
		return a.saying(ErrUnknownLog)
	case a.status == http.StatusForbidden:
		return a.saying(ErrWrongKey)
	case a.status == http.StatusBadRequest || a.status == http.StatusRequestEntityTooLarge:
		return a.saying(ErrMalformed)
	case a.status >= 500, a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout:
		return a.saying(ErrUnavailable)
	case a.status >= 400:
		return a.saying(ErrRefused)
	default:
		return a.saying(ErrAnswer)
	}
}

func (a answer) size() error {
	digits, complete := strings.CutSuffix(string(a.body), "\n")
	size, ok := parseSize(digits)
	if !complete || !ok || a.kind != sizeType {
		return fmt.Errorf("it conflicts (status 409) and does not say its size as %s: %w", sizeType, ErrAnswer)
	}
	return &sizeError{size: size}
}

// saying adds the status, and the beginning of what the witness says.
func (a answer) saying(kind error) error {
	said, _, _ := strings.Cut(strings.TrimSpace(string(a.body[:min(len(a.body), maxCause)])), "\n")
	if said == "" {
		return fmt.Errorf("%w (status %d)", kind, a.status)
	}
	return fmt.Errorf("%w (status %d: %s)", kind, a.status, audit.Printable(strings.ToValidUTF8(said, "")))
}
