package api

import "sort"

// Nearest returns the name that a misspelt one was most likely meant to be, or the empty string
// when there are no names.
func Nearest(misspelt string, names []string) string {
	sorted := append([]string(nil), names...)
	sort.Strings(sorted)
	best, least := "", 0
	for _, name := range sorted {
		if d := distance(misspelt, name); best == "" || d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or replaced to make b from a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
