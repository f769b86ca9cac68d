package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parseAll feeds parts to a parser and returns the commands that it finds.
func parseAll(parts ...[]byte) (commands [][]string, err error) {
	var p parser
	for _, part := range parts {
		for len(part) > 0 && err == nil {
			room, _ := p.room(1 << 30)
			n := copy(room, part)
			part = part[n:]
			p.filled(n)
			for {
				args, ok, failed := p.next()
				if err = failed; !ok {
					break
				}
				commands = append(commands, stringsOf(args))
			}
		}
	}
	return commands, err
}

func TestParse(t *testing.T) {
	for send, want := range map[string][][]string{
		"":                                       nil,
		"\r\n \r\n\n":                            nil,
		"PING\n":                                 {{"PING"}},
		" a  b\tc \r\n":                          {{"a", "b", "c"}},
		`a "b c" 'd"e\'' ""` + "\n":              {{"a", "b c", `d"e'`, ""}},
		`"\x41\n\r\t\b\a\\\"\q\xzz" '\n'` + "\n": {{"A\n\r\t\b\a\\\"qxzz", `\n`}},
		"*0\r\n*-1\r\nPING\r\n":                  {{"PING"}},
		"*1\r\n$0\r\n\r\n":                       {{""}},
		"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\nECHO x\n*1\r\n$1\r\nz": {{"GET", "a\r\nb"}, {"PING"}, {"ECHO", "x"}},
	} {
		got, err := parseAll([]byte(send))
		require.NoError(t, err, send)
		require.Equal(t, want, got, send)
	}
}

// FuzzParser: commands do not depend on how they are split, and nothing panics. What is
// found, and sent again as arrays, is found again.
func FuzzParser(f *testing.F) {
	for _, seed := range []string{
		"", "PING\r\n", "*1\r\n$4\r\nPING\r\n", "*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n", "*-1\r\n*0\r\nGET a\n",
		"*1\r\n$-1\r\n", "*1\r\n:1\r\n", "*999999999999\r\n", "*2\r\n$1\r\na\r\n$1000000\r\nb", "SET \"a\\x00\" 'b c'\r\n", "a\"b\"c\n",
		"*+1\r\n", "*\r\n", "$\r\n", "*1\r\n$\r\n", "*1\r\n$1\n\n\n\nPING\n", "'\\", "\"\\x", "*3\r\n$3\r\nSET\r\n",
	} {
		f.Add([]byte(seed), 1)
	}
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		at = max(0, min(at, len(data)))
		whole, err := parseAll(data)
		halves, errHalves := parseAll(data[:at], data[at:])
		require.Equal(t, err, errHalves)
		require.Equal(t, whole, halves)
		if len(data) < 300 {
			bytewise, errBytewise := parseAll(bytes.SplitAfter(data, nil)...)
			require.Equal(t, err, errBytewise)
			require.Equal(t, whole, bytewise)
		}
		var again strings.Builder
		for _, args := range whole {
			again.WriteString(command2(args...))
		}
		repeated, err := parseAll([]byte(again.String()))
		require.NoError(t, err)
		require.Equal(t, whole, repeated)
	})
}

// TestRoomGrowsAsBytesArrive, not as they are announced.
func TestRoomGrowsAsBytesArrive(t *testing.T) {
	var p parser
	send := []byte("*2\r\n$3\r\nSET\r\n$60000000\r\nabc")
	room, err := p.room(maxCommand)
	require.NoError(t, err)
	p.filled(copy(room, send))
	_, ok, err := p.next()
	require.NoError(t, err)
	require.False(t, ok)
	room, err = p.room(maxCommand)
	require.NoError(t, err)
	require.LessOrEqual(t, len(room), minRoom)
	_, err = p.room(10)
	require.ErrorIs(t, err, errFull)
}
