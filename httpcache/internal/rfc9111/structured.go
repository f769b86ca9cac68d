package rfc9111

import "strings"

// A value is a value in a structured field (RFC 8941). Only those that a directive may have
// are kept: booleans and integers, and that it is a string. All others have the kind other.
type value struct {
	kind valueKind
	n    int64 // an integer, or 0 or 1 for a boolean
}

type valueKind int8

const (
	other valueKind = iota
	boolean
	integer
	text
)

// dictionary parses the lines of a field that is a dictionary. It returns false if there is
// an error anywhere.
func dictionary(lines []string) (map[string]value, bool) {
	s := scanner(strings.Trim(strings.Join(lines, ", "), " "))
	all := map[string]value{}
	for s != "" {
		name, ok := s.key()
		v := value{boolean, 1}
		if ok && s.take('=') {
			v, ok = s.member()
		}
		if !ok || !s.parameters() {
			return nil, false
		}
		all[name] = v
		s.skip(" \t")
		if s == "" {
			break
		}
		if !s.take(',') {
			return nil, false
		}
		if s.skip(" \t"); s == "" {
			return nil, false
		}
	}
	return all, true
}

// A scanner is the rest of a field that is being parsed.
type scanner string

func (s *scanner) skip(chars string) { *s = scanner(strings.TrimLeft(string(*s), chars)) }

// take removes c, and reports whether it came next.
func (s *scanner) take(c byte) bool {
	if *s == "" || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}

// span removes and returns the next characters for which in returns true.
func (s *scanner) span(in func(byte) bool) string {
	n := 0
	for n < len(*s) && in((*s)[n]) {
		n++
	}
	taken := string((*s)[:n])
	*s = (*s)[n:]
	return taken
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool { return isLower(c | 0x20) }

func (s *scanner) key() (string, bool) {
	if *s == "" || !isLower((*s)[0]) && (*s)[0] != '*' {
		return "", false
	}
	return s.span(func(c byte) bool { return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 }), true
}

func (s *scanner) parameters() bool {
	for s.take(';') {
		s.skip(" ")
		if _, ok := s.key(); !ok {
			return false
		}
		if s.take('=') {
			if _, ok := s.item(); !ok {
				return false
			}
		}
	}
	return true
}

// member parses an item or a list in parentheses.
func (s *scanner) member() (value, bool) {
	if !s.take('(') {
		return s.item()
	}
	for {
		s.skip(" ")
		if s.take(')') {
			return value{}, true
		}
		if _, ok := s.item(); !ok || !s.parameters() {
			return value{}, false
		}
		if *s == "" || (*s)[0] != ' ' && (*s)[0] != ')' {
			return value{}, false
		}
	}
}

// item parses an item without its parameters.
func (s *scanner) item() (value, bool) {
	if *s == "" {
		return value{}, false
	}
	switch c := (*s)[0]; {
	case c == '-' || isDigit(c):
		return s.number()
	case c == '"':
		return s.quoted()
	case c == '?':
		return s.boolean()
	case c == ':':
		return s.bytes()
	case c == '*' || isAlpha(c):
		s.span(isToken)
		return value{}, true
	}
	return value{}, false
}

// isToken reports whether a token may have c after its first character.
func isToken(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
}

// number parses an integer of up to 15 digits, or a decimal, which is of the kind other.
func (s *scanner) number() (value, bool) {
	sign := int64(1)
	if s.take('-') {
		sign = -1
	}
	digits := s.span(isDigit)
	if s.take('.') {
		fraction := len(s.span(isDigit))
		return value{}, digits != "" && len(digits) <= 12 && fraction >= 1 && fraction <= 3
	}
	n := int64(0)
	for _, c := range []byte(digits) {
		n = n*10 + int64(c-'0')
	}
	return value{integer, sign * n}, digits != "" && len(digits) <= 15
}

func (s *scanner) quoted() (value, bool) {
	for rest := *s; ; {
		rest = rest[1:]
		switch {
		case rest == "" || rest[0] < ' ' || rest[0] > '~':
			return value{}, false
		case rest[0] == '"':
			*s = rest[1:]
			return value{kind: text}, true
		case rest[0] == '\\':
			if rest = rest[1:]; rest == "" || rest[0] != '"' && rest[0] != '\\' {
				return value{}, false
			}
		}
	}
}

func (s *scanner) boolean() (value, bool) {
	switch {
	case strings.HasPrefix(string(*s), "?1"):
		*s = (*s)[2:]
		return value{boolean, 1}, true
	case strings.HasPrefix(string(*s), "?0"):
		*s = (*s)[2:]
		return value{boolean, 0}, true
	}
	return value{}, false
}

// bytes parses base64 between colons.
func (s *scanner) bytes() (value, bool) {
	s.take(':')
	s.span(func(c byte) bool { return isAlpha(c) || isDigit(c) || strings.IndexByte("+/=", c) >= 0 })
	return value{}, s.take(':')
}

// IsToken reports whether name is a token of a structured field.
func IsToken(name string) bool {
	s := scanner(name)
	if s == "" || !isAlpha(s[0]) && s[0] != '*' {
		return false
	}
	s.span(isToken)
	return s == ""
}
