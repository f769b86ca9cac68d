package cluster

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
)

// A Codec turns values into bytes and back. All processes that use a [Map] must use the same.
// Its methods may be called from any goroutine.
type Codec interface {
	// Encode returns v as bytes, which are not changed afterwards.
	Encode(v any) ([]byte, error)
	// Decode sets *to, the zero value, to the value that data stands for. to is
	// a pointer to a value of the Map's type. Decode must not change or keep data.
	Decode(data []byte, to any) error
}

var (
	// JSON is the Codec of package encoding/json.
	JSON Codec = jsonCodec{}
	// Gob is the Codec of package encoding/gob. Each value carries the description of
	// its type.
	Gob Codec = gobCodec{}
	// Raw is the Codec of a Map of strings or of slices of bytes: it leaves them as they are.
	Raw Codec = rawCodec{}
)

type jsonCodec struct{}

func (jsonCodec) Encode(v any) ([]byte, error)     { return json.Marshal(v) }
func (jsonCodec) Decode(data []byte, to any) error { return json.Unmarshal(data, to) }

type gobCodec struct{}

func (gobCodec) Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func (gobCodec) Decode(data []byte, to any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(to)
}

type rawCodec struct{}

func (rawCodec) Encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return bytes.Clone(v), nil
	case string:
		return []byte(v), nil
	}
	return nil, fmt.Errorf("cluster: Raw cannot encode a %T", v)
}

func (rawCodec) Decode(data []byte, to any) error {
	switch to := to.(type) {
	case *[]byte:
		*to = append([]byte{}, data...)
	case *string:
		*to = string(data)
	default:
		return fmt.Errorf("cluster: Raw cannot decode a %T", to)
	}
	return nil
}

// decode calls Decode, and returns an error if it panics.
func decode[V any](c Codec, data []byte) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = *new(V), fmt.Errorf("%w: panic: %v", ErrDecode, p)
		}
	}()
	var to V
	if err := c.Decode(data, &to); err != nil {
		return v, fmt.Errorf("%w: %w", ErrDecode, err)
	}
	return to, nil
}
