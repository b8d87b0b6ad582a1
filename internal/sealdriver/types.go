package sealdriver

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/seal"
)

// ErrOtherType means that a column has another type than the leaf is made of. The bytes of two
// types may be the same where what they say is not, such as those of timestamp and timestamptz.
var ErrOtherType = errors.New("a column has another type than the trail's: run migrate validate, and find out who changed it")

// checkTypes checks the columns of a leaf, which are the last ones of a result.
func checkTypes(kind seal.Kind, fields []pgconn.FieldDescription) error {
	columns := seal.Columns(kind, seal.LeafVersion)
	fields = fields[max(0, len(fields)-len(columns)):]
	for i := range min(len(fields), len(columns)) {
		if !slices.Contains(typesOf(columns[i].Type), fields[i].DataTypeOID) {
			return fmt.Errorf("reading each %s: %w: %s must be %s", kind, ErrOtherType, columns[i].Name, columns[i].Type)
		}
	}
	return nil
}

// typesOf returns the types of PostgreSQL whose binary form a column of a leaf may have.
func typesOf(t seal.Type) []uint32 {
	switch t {
	case seal.UUID:
		return []uint32{pgtype.UUIDOID}
	case seal.Text:
		return []uint32{pgtype.TextOID, pgtype.VarcharOID}
	case seal.Timestamptz:
		return []uint32{pgtype.TimestamptzOID}
	case seal.Int4:
		return []uint32{pgtype.Int4OID}
	case seal.Int8:
		return []uint32{pgtype.Int8OID}
	case seal.Bool:
		return []uint32{pgtype.BoolOID}
	case seal.Bytea:
		return []uint32{pgtype.ByteaOID}
	case seal.JSONB:
		return []uint32{pgtype.JSONBOID}
	case seal.Int8Multirange:
		return []uint32{pgtype.Int8multirangeOID}
	}
	return nil
}
