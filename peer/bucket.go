package peer

import "time"

// bucket is a token bucket. Its zero value with burst and perSecond set is full.
type bucket struct {
	burst, perSecond float64
	spent            float64
	at               time.Time
}

// take takes n tokens and returns how long to wait until there were that many;
// 0 means that there were. It goes into debt rather than refuse.
func (b *bucket) take(now time.Time, n float64) time.Duration {
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds()*b.perSecond)
	b.at = now
	b.spent += n
	if b.spent <= b.burst {
		return 0
	}
	return time.Duration((b.spent - b.burst) / b.perSecond * float64(time.Second))
}

// refill forgets what was spent.
func (b *bucket) refill() { b.spent = 0 }
