package auditwitness

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/durable"
	"github.com/hoc-analytics/coordaudit/seal"
)

// ServerConfig configures a [Server]. Signer, Logs and Dir are required.
type ServerConfig struct {
	// Signer is the witness's own key. See [seal.LoadWitnessSigner].
	Signer *seal.WitnessSigner

	// Logs are the keys of the logs that the witness knows. A key stands for the log of its
	// name, with all epochs. Two keys of one name are two keys of one log.
	Logs []note.Verifier

	// Dir keeps the state: one file a log and epoch, which is the last checkpoint that was
	// cosigned. It is made if it is missing. One server at a time uses it. Never restore it
	// from a backup: the witness would forget what it cosigned.
	Dir string

	// Logger receives events. Defaults to slog.Default().
	Logger *slog.Logger

	// Now is the clock of the cosignatures. Defaults to time.Now.
	Now func() time.Time
}

// Server is a witness. It serves add-checkpoint, and the last cosigned checkpoint of each log
// at /SHA-256 OF THE ORIGIN/checkpoint. It is safe for concurrent use.
//
// A cosignature is given after the state is durable. If the process ends between, the next
// one knows the checkpoint, and cosigns the same one again but no other of its size.
type Server struct {
	config ServerConfig
	mux    *http.ServeMux
	state  *state

	mu sync.Mutex // held while a checkpoint is compared with the state and stored
}

// NewServer locks the directory and reads the state of every log. The error matches
// [ErrConfig], [ErrInUse], or [ErrState] if the state of a log is damaged; it names the file.
// Call Close when no request is served any more.
func NewServer(config ServerConfig) (*Server, error) {
	config.Logger = cmp.Or(config.Logger, slog.Default())
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Signer == nil || len(config.Logs) == 0 || config.Dir == "" {
		return nil, fmt.Errorf("configuring the witness: it needs a signer, a directory and the key of a log: %w", ErrConfig)
	}
	for _, key := range config.Logs {
		if key == nil || seal.CheckName(key.Name()) != nil {
			return nil, fmt.Errorf("configuring the witness: the key of a log is missing, or its name cannot be that of a log: %w", ErrConfig)
		}
	}
	kept, err := openState(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the state of the witness: %w", err)
	}
	s := &Server{config: config, mux: http.NewServeMux(), state: kept}
	if err := s.checkState(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the state of the witness: %w", err), kept.close())
	}
	s.mux.HandleFunc("POST /"+addCheckpoint, s.addCheckpoint)
	s.mux.HandleFunc("GET /{log}/checkpoint", s.lastCheckpoint)
	return s, nil
}

// Close releases the directory.
func (s *Server) Close() error { return s.state.close() }

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// keysOf returns the keys of the log that an origin is of.
func (s *Server) keysOf(origin string) (keys []note.Verifier) {
	for _, key := range s.config.Logs {
		if _, err := seal.ParseOrigin(origin, key.Name()); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	text   string
	size   int64 // of a conflict
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, text string) error { return &refusal{status: status, text: text} }

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the request could not be read: it may have "+strconv.Itoa(maxRequest)+" bytes", status)
		return
	}
	line, err := s.cosign(r.Context(), body)
	if err != nil {
		s.answer(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, line) // a client that is gone asks again
}

func (s *Server) answer(w http.ResponseWriter, err error) {
	refused, ok := errors.AsType[*refusal](err)
	switch {
	case !ok:
		http.Error(w, "the witness cannot cosign now, its operator finds the cause in its log", http.StatusInternalServerError)
	case refused.status == http.StatusConflict:
		w.Header().Set("Content-Type", sizeType)
		w.WriteHeader(refused.status)
		_, _ = fmt.Fprintf(w, "%d\n", refused.size) // a client that is gone asks again
	default:
		http.Error(w, refused.text, refused.status)
	}
}

// cosign returns the signature line. The error is a refusal, or else the witness's own.
func (s *Server) cosign(ctx context.Context, body []byte) (line string, err error) {
	r, err := parseRequest(body)
	if err != nil {
		return "", refuse(http.StatusBadRequest, err.Error())
	}
	next, err := s.open(r)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	line, err = s.advance(r, next)
	attrs := []slog.Attr{slog.String("origin", audit.Printable(next.Origin)), slog.Int64("size", next.Size), slog.Int64("from", r.old)}
	if refused, ok := errors.AsType[*refusal](err); ok {
		s.config.Logger.LogAttrs(ctx, slog.LevelWarn, "coordination_audit_witness_refused", append(attrs, slog.Int("status", refused.status), slog.String("reason", refused.text))...)
	} else if err != nil {
		s.config.Logger.LogAttrs(ctx, slog.LevelError, "coordination_audit_witness_failed", append(attrs, slog.String("error", err.Error()))...)
	} else {
		s.config.Logger.LogAttrs(ctx, slog.LevelInfo, "coordination_audit_witness_cosigned", attrs...)
	}
	return line, err
}

// opened is a checkpoint whose log is known, with the signatures of its keys.
type opened struct {
	seal.Checkpoint

	note *note.Note
}

// open checks what does not depend on the state.
func (s *Server) open(r request) (opened, error) {
	_, checkpoint, err := textOf(r.signed)
	if err != nil {
		return opened{}, refuse(http.StatusBadRequest, err.Error())
	}
	keys := s.keysOf(checkpoint.Origin)
	if len(keys) == 0 {
		return opened{}, refuse(http.StatusNotFound, "this witness does not know the log")
	}
	next, err := openWith(r.signed, checkpoint.Origin, keys)
	switch {
	case errors.Is(err, seal.ErrMalformed):
		return opened{}, refuse(http.StatusBadRequest, "the checkpoint is malformed")
	case err != nil:
		return opened{}, refuse(http.StatusForbidden, "no known key of the log signed the checkpoint, or its signature is wrong")
	case r.old > next.Size:
		return opened{}, refuse(http.StatusBadRequest, "the old size is larger than the checkpoint's")
	case next.Size == 0 && next.Root != sha256.Sum256(nil):
		return opened{}, refuse(http.StatusUnprocessableEntity, "the root is not that of the empty log")
	}
	return next, nil
}

func openWith(signed []byte, origin string, keys []note.Verifier) (opened, error) {
	checkpoint, err := seal.OpenCheckpoint(signed, origin, keys...)
	if err != nil {
		return opened{}, err
	}
	signatures, err := note.Open(signed, note.VerifierList(keys...))
	if err != nil {
		return opened{}, fmt.Errorf("%w: %w", seal.ErrMalformed, err)
	}
	return opened{Checkpoint: checkpoint, note: signatures}, nil
}

// advance compares a checkpoint with the state, and makes it the state before it returns
// the cosignature. The caller holds mu.
func (s *Server) advance(r request, next opened) (line string, err error) {
	last, err := s.last(next.Origin)
	if err != nil {
		return "", err
	}
	if last.Size != r.old {
		return "", &refusal{status: http.StatusConflict, size: last.Size, text: fmt.Sprintf("the witness has size %d", last.Size)}
	}
	if err := checkGrowth(last, next.Checkpoint, r.proof); err != nil {
		return "", refuse(http.StatusUnprocessableEntity, "the log does not begin with what this witness cosigned: the proof does not hold")
	}
	line, err = s.config.Signer.Cosign(next.note.Text, s.config.Now())
	if err != nil {
		return "", err
	}
	if err := s.state.put(next.Checkpoint, signedNote(next.note, line)); err != nil {
		return "", err
	}
	return line, nil
}

// checkGrowth also takes the empty log for the beginning of any other.
func checkGrowth(last, next seal.Checkpoint, proof []seal.Hash) error {
	if last.Size == 0 {
		last.Root = sha256.Sum256(nil)
	}
	return seal.CheckConsistency(last.Size, last.Root, next.Size, next.Root, proof)
}

// last returns the last cosigned checkpoint of a log, of size 0 if there is none.
func (s *Server) last(origin string) (seal.Checkpoint, error) {
	signed, path, err := s.state.get(origin)
	if err != nil || signed == nil {
		return seal.Checkpoint{}, err
	}
	checkpoint, err := openWith(signed, origin, s.keysOf(origin))
	if err != nil {
		return seal.Checkpoint{}, damaged(path, err)
	}
	return checkpoint.Checkpoint, s.state.checkSize(checkpoint.Checkpoint, path)
}

// signedNote is a checkpoint with the verified signatures of its log, and a cosignature.
func signedNote(of *note.Note, cosignature string) []byte {
	var signed bytes.Buffer
	signed.WriteString(of.Text + "\n")
	for _, sig := range of.Sigs {
		signed.WriteString("— " + sig.Name + " " + sig.Base64 + "\n")
	}
	signed.WriteString(cosignature)
	return signed.Bytes()
}

// checkState reads the state of every log once. It leaves that of unknown logs alone.
func (s *Server) checkState() error {
	origins, err := s.state.origins()
	if err != nil {
		return err
	}
	for _, origin := range origins {
		if len(s.keysOf(origin)) == 0 {
			continue
		}
		if _, err := s.last(origin); err != nil {
			return err
		}
	}
	return nil
}

// lastCheckpoint serves the state of a log. It shows no cosignature that is not durable.
func (s *Server) lastCheckpoint(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	signed, err := s.state.read(r.PathValue("log"))
	if err == nil && signed != nil {
		if err = (durable.OS{}).SyncDir(s.config.Dir); err != nil { // a put may have failed after its rename
			err = fmt.Errorf("syncing the directory of the state: %w", err)
		}
	}
	s.mu.Unlock()
	if err != nil {
		s.config.Logger.LogAttrs(r.Context(), slog.LevelError, "coordination_audit_witness_failed", slog.String("error", err.Error()))
		s.answer(w, err)
		return
	}
	if signed == nil {
		http.Error(w, "this witness has cosigned no checkpoint of such a log", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(signed) // a client that is gone asks again
}
