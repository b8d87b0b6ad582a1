package seal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// appendExtra appends the row as a bundle has it: with the texts, not their digests.
func (r Row) appendExtra(dst []byte) ([]byte, error) {
	if err := r.check(Columns(r.Kind, r.Version)); err != nil {
		return dst, err
	}
	dst = append(dst, extraVersion, byte(r.Kind), r.Version)
	for i, value := range r.Values {
		switch {
		case r.erased(i):
			dst = append(binary.BigEndian.AppendUint32(dst, digestLength), r.Digests[i]...)
		case value == nil:
			dst = binary.BigEndian.AppendUint32(dst, nullLength)
		default:
			dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
		}
	}
	return dst, nil
}

func parseExtra(data []byte) (Row, error) {
	const header = 3
	if len(data) < header {
		return Row{}, malformedProof("its row was cut off")
	}
	if data[0] != extraVersion {
		return Row{}, fmt.Errorf("reading a proof bundle: its row has version %d, a newer release may know it: %w", data[0], ErrMalformed)
	}
	row := Row{Kind: Kind(data[1]), Version: data[2]}
	columns := Columns(row.Kind, row.Version)
	rest := data[header:]
	for i := range columns {
		var value []byte
		var digest, ok bool
		if value, digest, rest, ok = cutValue(rest); !ok {
			return Row{}, malformedProof("its row was cut off")
		}
		if !digest {
			row.Values = append(row.Values, value)
			continue
		}
		if row.Digests == nil {
			row.Digests = make([][]byte, len(columns))
		}
		row.Digests[i] = value
		row.Values = append(row.Values, nil)
	}
	if err := row.check(columns); err != nil {
		return Row{}, fmt.Errorf("reading a proof bundle: %w", err)
	}
	if len(rest) > 0 {
		return Row{}, malformedProof("its row is followed by other bytes")
	}
	return row, nil
}

// cutValue returns the first value of a bundle's row, which is not nil unless it is NULL.
func cutValue(data []byte) (value []byte, digest bool, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, false, nil, false
	}
	length, rest := binary.BigEndian.Uint32(data), data[4:]
	switch length {
	case nullLength:
		return nil, false, rest, true
	case digestLength:
		length, digest = sha256.Size, true
	}
	if uint64(length) > uint64(len(rest)) {
		return nil, false, nil, false
	}
	return rest[:length:length], digest, rest[length:], true
}
