package vigildebug

import "fmt"

// each calls f with 0 to n-1, one after the other, in another goroutine. After a call that
// panics or calls runtime.Goexit, each calls failed with its number and the reason, and
// continues with the next number.
func each(n int, f func(i int), failed func(i int, why string)) {
	for i := 0; i < n; i++ {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				why := "called runtime.Goexit"
				if v := recover(); v != nil {
					why = fmt.Sprintf("panicked with a %T", v) // the value may hold a secret
				}
				if i < n {
					failed(i, why)
				}
			}()
			for ; i < n; i++ {
				f(i)
			}
		}()
		<-done
	}
}
