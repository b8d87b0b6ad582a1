package auditwitness_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/auditwitness"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// A client that knows nothing of the witness's size asks twice, and once from then on.
func TestClientLearnsSize(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	signer := newWitnessKey(t, "witness.example/w1")
	w := newWitness(t, t.TempDir(), signer, k.verifier)
	var asked atomic.Int32
	counting := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		asked.Add(1)
		w.handler.ServeHTTP(out, in)
	}))
	t.Cleanup(counting.Close)
	known := auditwitness.Witness{URL: counting.URL + "/", Key: signer.Witness()}
	l := newLeaves("a", 40)
	first := clientOf(t, known)
	for i, c := range []struct {
		client *auditwitness.Client
		size   int
		asked  int32
	}{{first, 10, 1}, {first, 20, 1}, {first, 20, 1}, {clientOf(t, known), 30, 2}, {first, 40, 2}, {clientOf(t, known), 40, 2}} {
		asked.Store(0)
		cosignature, err := c.client.Cosign(t.Context(), l[:c.size].signed(t, k, logName), l.prover)
		if err != nil || asked.Load() != c.asked {
			t.Errorf("%d: asked %d times, want %d: %v", i, asked.Load(), c.asked, err)
		}
		if cosignature.Witness != signer.Witness() && cosignature.Witness.String() != signer.Witness().String() || time.Since(cosignature.Time) > time.Hour {
			t.Errorf("%d: %+v", i, cosignature)
		}
	}
}

// A witness with a larger log is an incident only if this log does not reach that size.
func TestLargerWitness(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), k.verifier)
	l := newLeaves("a", 40)
	if _, err := w.client(t).Cosign(t.Context(), l.signed(t, k, logName), l.prover); err != nil {
		t.Fatal(err)
	}
	away := errors.New("the database is away")
	for name, c := range map[string]struct {
		prove auditwitness.Prover
		want  error
	}{
		"CutOff":      {l[:30].prover, auditwitness.ErrAhead},
		"OtherSealer": {l.prover, auditwitness.ErrStale},
		"NeverSigned": {func(context.Context, int64, int64) ([]seal.Hash, error) { return nil, sealer.ErrForked }, auditwitness.ErrRewritten},
		"NotKnown":    {func(context.Context, int64, int64) ([]seal.Hash, error) { return nil, away }, auditwitness.ErrUnavailable},
	} {
		for range 2 { // the client does not learn to keep silent
			_, err := w.client(t).Cosign(t.Context(), l[:30].signed(t, k, logName), c.prove)
			mustBeOnly(t, name, err, c.want)
		}
	}
}

// mustBeOnly fails if the error matches another one of a client's, too.
func mustBeOnly(t *testing.T, name string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", name, err, want)
		return
	}
	for _, other := range []error{auditwitness.ErrUnavailable, auditwitness.ErrAhead, auditwitness.ErrRewritten, auditwitness.ErrStale, auditwitness.ErrRefused, auditwitness.ErrAnswer} {
		if errors.Is(err, other) && !errors.Is(want, other) {
			t.Errorf("%s: %v matches %v, too", name, err, other)
		}
	}
}

// A rewritten log is an incident, at the same size and at larger ones.
func TestRewrittenLog(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), k.verifier)
	l, forked := newLeaves("a", 40), newLeaves("b", 50)
	if _, err := w.client(t).Cosign(t.Context(), l.signed(t, k, logName), l.prover); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{40, 41, 50} {
		_, err := w.client(t).Cosign(t.Context(), forked[:size].signed(t, k, logName), forked.prover)
		mustBeOnly(t, strconv.Itoa(size), err, auditwitness.ErrRewritten)
	}
}

// Each answer of a witness, and of what is no witness, ends in one error.
func TestAnswers(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	signer, other := newWitnessKey(t, "witness.example/w1"), newWitnessKey(t, "witness.example/w1")
	l := newLeaves("a", 10)
	signed := l.signed(t, k, logName)
	text := strings.SplitAfter(string(signed), "\n\n")[0]
	text = text[:len(text)-1]
	line := func(by *seal.WitnessSigner, text string) string {
		line, err := by.Cosign(text, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	good := line(signer, text)
	sized := "text/x.tlog.size"
	for name, c := range map[string]struct {
		status     int
		kind, body string
		want       error
	}{
		"Good":              {200, "", good, nil},
		"GoodAmongOthers":   {200, "", line(other, text) + good + "— another.example AAAAAAAA\n", nil},
		"OtherKey":          {200, "", line(other, text), auditwitness.ErrAnswer},
		"OtherText":         {200, "", line(signer, l[:9].text(t)), auditwitness.ErrAnswer},
		"NoSignature":       {200, "", "", auditwitness.ErrAnswer},
		"NoEnd":             {200, "", strings.TrimSuffix(good, "\n"), auditwitness.ErrAnswer},
		"Page":              {200, "text/html", "<html>", auditwitness.ErrAnswer},
		"OtherNoteHidden":   {200, "", "— x\n\n" + good, auditwitness.ErrAnswer},
		"Endless":           {200, "", strings.Repeat(good, 1000), auditwitness.ErrAnswer},
		"BadRequest":        {400, "", "what?\n", auditwitness.ErrMalformed},
		"Unauthorized":      {401, "", "", auditwitness.ErrRefused},
		"Forbidden":         {403, "", "", auditwitness.ErrWrongKey},
		"NotFound":          {404, "", "", auditwitness.ErrUnknownLog},
		"Timeout":           {408, "", "", auditwitness.ErrUnavailable},
		"TooLarge":          {413, "", "", auditwitness.ErrMalformed},
		"Rewritten":         {422, "", "", auditwitness.ErrRewritten},
		"TooMany":           {429, "", "", auditwitness.ErrUnavailable},
		"Broken":            {500, "", "", auditwitness.ErrUnavailable},
		"Away":              {503, "", "", auditwitness.ErrUnavailable},
		"Redirect":          {307, "", "", auditwitness.ErrAnswer},
		"NoContent":         {204, "", "", auditwitness.ErrAnswer},
		"SizeWithoutType":   {409, "text/plain", "5\n", auditwitness.ErrAnswer},
		"SizeWithoutEnd":    {409, sized, "5", auditwitness.ErrAnswer},
		"SizeIsNone":        {409, sized, "five\n", auditwitness.ErrAnswer},
		"SizeNegative":      {409, sized, "-5\n", auditwitness.ErrAnswer},
		"SizeHuge":          {409, sized, "99999999999999999999\n", auditwitness.ErrAnswer},
		"SizeAsAsked":       {409, sized, "0\n", auditwitness.ErrAnswer},
		"SizeNeverAccepted": {409, sized, "5\n", auditwitness.ErrAnswer},
		"SizeWithCharset":   {409, sized + "; charset=utf-8", "11\n", auditwitness.ErrAhead},
	} {
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			if c.kind != "" {
				w.Header().Set("Content-Type", c.kind)
			}
			if c.status == 307 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body)) // the client may have had enough
		}))
		cosignature, err := clientOf(t, auditwitness.Witness{URL: server.URL, Key: signer.Witness()}).Cosign(t.Context(), signed, l.prover)
		switch {
		case c.want == nil && (err != nil || cosignature.Line != good):
			t.Errorf("%s: %+v, %v", name, cosignature, err)
		case c.want != nil:
			mustBeOnly(t, name, err, c.want)
			if cosignature != (seal.Cosignature{}) {
				t.Errorf("%s: %+v is returned with an error", name, cosignature)
			}
		}
		want := int32(1)
		if name == "SizeNeverAccepted" {
			want = 2
		}
		if asked.Load() != want {
			t.Errorf("%s: asked %d times, want %d", name, asked.Load(), want)
		}
		server.Close()
	}
}

// text is the note text of the log's checkpoint.
func (l leaves) text(tb testing.TB) string {
	tb.Helper()
	return seal.Checkpoint{Origin: logName, Size: int64(len(l)), Root: l.root()}.Text()
}

// A witness that is not there, or never answers, is unavailable. ctx bounds the wait, and no
// error has a password of the URL.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	k, signer, l := newKey(t, logName), newWitnessKey(t, "witness.example/w1"), newLeaves("a", 3)
	end := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		select {
		case <-end:
		case <-in.Context().Done():
		}
	}))
	t.Cleanup(func() { close(end); hanging.Close() })
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, at := range map[string]string{"Hanging": hanging.URL, "Gone": gone.URL} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		at = strings.Replace(at, "http://", "http://user:secret-word@", 1)
		_, err := clientOf(t, auditwitness.Witness{URL: at, Key: signer.Witness()}).Cosign(ctx, l.signed(t, k, logName), l.prover)
		mustBeOnly(t, name, err, auditwitness.ErrUnavailable)
		if strings.Contains(err.Error(), "secret-word") || !strings.Contains(err.Error(), "witness.example/w1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A client needs a URL and a key. What is no checkpoint is not sent.
func TestClientConfig(t *testing.T) {
	t.Parallel()
	key := newWitnessKey(t, "witness.example/w1").Witness()
	for _, at := range []string{"", "witness.example", "ftp://witness.example", "http://", "https://witness.example/?token=x", "https://witness.example/#x", "http://\x7f"} {
		if c, err := auditwitness.NewClient(auditwitness.Witness{URL: at, Key: key}); !errors.Is(err, auditwitness.ErrConfig) || c != nil {
			t.Errorf("%q: %v", at, err)
		}
	}
	if _, err := auditwitness.NewClient(auditwitness.Witness{URL: "https://witness.example"}); !errors.Is(err, auditwitness.ErrConfig) {
		t.Errorf("without a key: %v", err)
	}
	client := clientOf(t, auditwitness.Witness{URL: "http://127.0.0.1:1", Key: key})
	for _, signed := range []string{"", "hello\n", "a\n1\nb\n\n— a AAAA\n"} {
		_, err := client.Cosign(t.Context(), []byte(signed), newLeaves("a", 1).prover)
		mustBeOnly(t, signed, err, auditwitness.ErrMalformed)
	}
}
