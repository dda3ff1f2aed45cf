// SPDX-License-Identifier: Apache-2.0
//
// go run generate.go [SEED [COUNT]] > expected.txt: what Go's regexp package, which containerd's
// filters use, says of random expressions and texts. A line is VERDICT, EXPRESSION and TEXT, with
// tabs between them; VERDICT is match, none or invalid; bytes that are not printable ASCII, and %,
// are written as %XX. Only what test_regex.c can ask for is made: no Unicode classes, and no
// characters beyond ASCII after (?i).
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"regexp"
	"strconv"
	"strings"
)

var atoms = []string{
	"a", "b", "ab", "A", "k", "0", "1", "-", "_", " ", ".", ".", "^", "$", "\\A", "\\z", "\\b", "\\B",
	"\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\.", "\\n", "\\x61", "\\x{62}", "\\060", "\\Qa.b\\E",
	"[ab]", "[^ab]", "[a-c0-2]", "[]a]", "[^]a]", "[a-]", "[[:alpha:]]", "[[:^digit:]-]", "[\\d\\s]",
	"[^\\W_]", "[\\D]", "[[:space:]]", "[\\]b]", "{", "}", "]", "a{", "a{,2}", "(?i)", "(?s)", "(?m)",
	"(?-i)", "(?U)", "[k-s]", "\\Q\\E", "[[:word:]]", "[[:punct:]]", "/",
}
var wide = []string{"ä", "[ä-ü]", "[^ä]", "\\x{20ac}", "€"}
var broken = []string{
	"(", ")", "[", "[z-a]", "\\1", "\\", "*", "+", "a**", "a{2}{3}", "(?P<n>a", "(?x)", "a{1001}",
	"a{3,2}", "[[:nope:]]", "\\q", "(?i", "[\\b]", "\\8", "(?=a)", "\\xg", "\\x{}", "\\x{110000}", "?",
	"(?P<>a)", "(?P<n>a)", "(?--i)", "[a-\\d]", "\\C", "\\Z", "{2}", "a+*", "[", "(?P<n-m>a)",
}
var repetitions = []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{0}", "{1,}", "{0,1}", "{1,3}", "{2,3}?", "{0,}", "{3,4}"}
var texts = []string{
	"a", "b", "c", "A", "K", "k", "s", "S", "0", "1", "2", "9", "-", "_", " ", "\n", "\t", ".", "{", "}", "]",
	"/", "ab", "a.b", "ä", "€", "\u212a", "\u017f", "\xff", "\xe2\x82", "\v",
}

func expression(r *rand.Rand, depth int, fold bool) string {
	var b strings.Builder
	for n := r.Intn(4) + 1; n > 0; n-- {
		switch k := r.Intn(20); {
		case k < 2 && depth > 0:
			group := []string{"(", "(?:", "(?i:", "(?s:", "(?m:", "(?-s:"}
			b.WriteString(group[r.Intn(len(group))] + expression(r, depth-1, fold) + ")")
		case k < 4 && depth > 0:
			b.WriteString(expression(r, depth-1, fold) + "|" + expression(r, depth-1, fold))
		case k == 4 && !fold:
			b.WriteString(wide[r.Intn(len(wide))])
		case k == 5 && r.Intn(12) == 0:
			b.WriteString(broken[r.Intn(len(broken))])
		default:
			b.WriteString(atoms[r.Intn(len(atoms))])
		}
		if r.Intn(3) == 0 {
			b.WriteString(repetitions[r.Intn(len(repetitions))])
		}
	}
	return b.String()
}

func text(r *rand.Rand) string {
	var b strings.Builder
	for n := r.Intn(7); n > 0; n-- {
		b.WriteString(texts[r.Intn(len(texts))])
	}
	return b.String()
}

func quote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' || s[i] == '%' {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func main() {
	seed, count := int64(1), 3000
	if len(os.Args) > 1 {
		seed, _ = strconv.ParseInt(os.Args[1], 10, 64)
	}
	if len(os.Args) > 2 {
		count, _ = strconv.Atoi(os.Args[2])
	}
	r := rand.New(rand.NewSource(seed))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for i := 0; i < count; i++ {
		pattern := expression(r, 3, false)
		if strings.Contains(pattern, "?i") { // once more, with ASCII only
			pattern = "(?i)" + expression(r, 3, true)
		}
		compiled, err := regexp.Compile(pattern)
		for n := 0; n < 3; n++ {
			subject := text(r)
			verdict := "invalid"
			if err == nil && compiled.MatchString(subject) {
				verdict = "match"
			} else if err == nil {
				verdict = "none"
			}
			fmt.Fprintf(out, "%s\t%s\t%s\n", verdict, quote(pattern), quote(subject))
			if err != nil {
				break
			}
		}
	}
}
