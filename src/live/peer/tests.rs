use super::*;

const ONE: &str = "00000000-0000-4000-8000-000000000001";
const TWO: &str = "00000000-0000-4000-8000-000000000002";

/// Validity is checked against the real clock, so identities are made now.
fn now() -> u64 {
    crate::live::clock::Clock::start().unix_seconds()
}

/// Connects `from`, who expects `expected`, to `to`, whose pool is one and two; gives whom each saw.
async fn meet(
    from: &Identity,
    expected: &str,
    to: &Identity,
) -> (Result<(), String>, Result<Name, String>) {
    let pool = [Name::from(ONE), Name::from(TWO)];
    let (near, far) = tokio::io::duplex(64 * 1024);
    let asker = async {
        let mut stream = from.connect(near, expected).await?;
        let dial = DialReq {
            address: String::from("orders"),
            ..DialReq::default()
        };
        ask(&mut stream, &dial).await
    };
    let asked = async {
        let (id, mut stream) = to.accept(far, &pool).await?;
        let dial = asked(&mut stream).await?;
        assert_eq!(dial.address, "orders");
        answer(&mut stream, Ok(())).await?;
        Ok::<_, PeerError>(id)
    };
    let (asker, asked) = tokio::join!(asker, asked);
    (
        asker.map_err(|error| error.to_string()),
        asked.map_err(|error| error.to_string()),
    )
}

#[tokio::test]
async fn two_instances_of_a_pool_know_each_other() {
    let authority = Authority::new(now()).unwrap();
    let [one, two] = [ONE, TWO].map(|id| authority.issue(id, now()).unwrap());
    let (asker, asked) = meet(&one, TWO, &two).await;
    assert_eq!((asker, asked), (Ok(()), Ok(Name::from(ONE))));
    // The names that every identity has are Teleport's.
    let (asker, _) = meet(&one, "abc.teleport.cluster.local", &two).await;
    assert_eq!(asker, Ok(()));
}

#[tokio::test]
async fn another_instance_than_the_dialled_one_is_not_asked() {
    let authority = Authority::new(now()).unwrap();
    let [one, two] = [ONE, TWO].map(|id| authority.issue(id, now()).unwrap());
    let (asker, asked) = meet(&two, TWO, &one).await;
    assert!(asker.unwrap_err().contains("not valid for name"));
    assert!(asked.is_err());
}

#[tokio::test]
async fn an_identity_of_another_pool_or_of_a_past_time_is_a_stranger_on_both_ends() {
    let (ours, theirs) = (
        Authority::new(now()).unwrap(),
        Authority::new(now()).unwrap(),
    );
    let [one, two] = [&ours, &theirs].map(|authority| authority.issue(ONE, now()).unwrap());
    for (from, to) in [(&one, &two), (&two, &one)] {
        let (asker, asked) = meet(from, ONE, to).await;
        assert!(asker.is_err() && asked.is_err(), "{asker:?} {asked:?}");
    }
    let old = ours.issue(TWO, 10).unwrap();
    assert!(meet(&old, ONE, &one).await.1.is_err());
}

#[tokio::test]
async fn one_that_is_signed_and_not_of_the_pool_is_a_stranger() {
    let authority = Authority::new(now()).unwrap();
    let one = authority.issue(ONE, now()).unwrap();
    let other = authority
        .issue("00000000-0000-4000-8000-000000000009", now())
        .unwrap();
    let (_, asked) = meet(&other, ONE, &one).await;
    assert_eq!(
        asked.unwrap_err(),
        "the other side is no instance of this pool"
    );
}

#[tokio::test]
async fn a_refusal_keeps_its_words_and_an_endless_line_is_refused() {
    let (mut near, mut far) = tokio::io::duplex(64);
    let refusing = async {
        drop(asked(&mut far).await);
        let why = String::from("no app reverse tunnel for a found");
        answer(&mut far, Err(why)).await.unwrap();
    };
    let dial = DialReq::default();
    let (error, ()) = tokio::join!(ask(&mut near, &dial), refusing);
    assert_eq!(
        error.unwrap_err().to_string(),
        "no app reverse tunnel for a found"
    );

    let endless = tokio::io::repeat(b'x');
    let error = read_line(&mut { endless }).await.unwrap_err();
    assert!(
        error.to_string().starts_with("a line of more than"),
        "{error}"
    );
}
