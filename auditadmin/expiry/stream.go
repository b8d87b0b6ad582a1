package expiry

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"

	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// pieceSize is how much a stream compresses at a time.
const pieceSize = 256 << 10

// stream compresses into a file, on a goroutine of its own.
type stream struct {
	file   *os.File
	hash   hash.Hash // of the compressed bytes
	piece  []byte
	pieces chan []byte
	free   chan []byte
	done   chan error
}

func newStream(path string) (*stream, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s := &stream{file: file, hash: sha256.New(), pieces: make(chan []byte, 4), free: make(chan []byte, 8), done: make(chan error, 1)}
	go s.compress()
	return s, nil
}

func (s *stream) compress() {
	zip, err := gzip.NewWriterLevel(io.MultiWriter(s.file, s.hash), gzip.BestSpeed)
	for piece := range s.pieces {
		if err == nil {
			_, err = zip.Write(piece)
		}
		select {
		case s.free <- piece[:0]:
		default:
		}
	}
	if err == nil {
		err = zip.Close()
	}
	s.done <- err
}

// lines appends whole lines.
func (s *stream) lines(text []byte) {
	s.piece = append(s.piece, text...)
	if len(s.piece) < pieceSize {
		return
	}
	s.pieces <- s.piece
	select {
	case s.piece = <-s.free:
	default:
		s.piece = nil
	}
}

// close writes the rest to the disk and returns the SHA-256 of the file.
func (s *stream) close() (digest string, err error) {
	if len(s.piece) > 0 {
		s.pieces <- s.piece
	}
	close(s.pieces)
	err = errors.Join(<-s.done, durable.SyncFile(s.file), s.file.Close())
	return hex.EncodeToString(s.hash.Sum(nil)), err
}
