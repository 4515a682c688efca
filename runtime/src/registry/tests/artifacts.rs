use super::{House, component, us};
use crate::defence::{Defence, without};
use crate::registry::seal::Sealer;
use crate::registry::{Digest, RegistryError};
use celeriac_sandbox::{Component, Engine, EngineSettings, Pooling, SandboxError};
use std::fs;
use std::path::PathBuf;

/// Has a process push a component, and returns it with the only artifact.
async fn pushed(house: &House) -> (bytes::Bytes, PathBuf) {
    let bytes = component(&["run"], "");
    house.push("images", &bytes).await.unwrap();
    let artifacts = house.files("artifacts");
    assert_eq!(artifacts.len(), 1);
    (bytes, artifacts[0].clone())
}

async fn loads(house: &House) -> bool {
    let resolver = house.registry.resolver("w").await.unwrap();
    resolver
        .resolve(&us(), &"images.run".parse().unwrap())
        .await
        .is_ok()
}

#[tokio::test]
async fn an_artifact_that_was_changed_is_never_loaded_but_compiled_again() {
    let house = House::open().await;
    let (_, artifact) = pushed(&house).await;
    let good = fs::read(&artifact).unwrap();
    for index in [0, 40, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[index] ^= 0x40;
        fs::write(&artifact, bad).unwrap();
        let before = house.compilations();
        assert!(loads(&house.beside().await).await);
        assert_eq!(house.compilations(), before + 1, "changed at {index}");
        assert_eq!(fs::read(&artifact).unwrap(), good);
    }
}

#[tokio::test]
async fn an_artifact_that_was_cut_is_compiled_again() {
    let house = House::open().await;
    let (_, artifact) = pushed(&house).await;
    let good = fs::read(&artifact).unwrap();
    for length in [0, 31, 32, good.len() / 2] {
        fs::write(&artifact, &good[..length]).unwrap();
        let before = house.compilations();
        assert!(loads(&house.beside().await).await);
        assert_eq!(house.compilations(), before + 1, "cut at {length}");
    }
}

#[tokio::test]
async fn an_artifact_of_another_component_is_not_taken_for_this_one() {
    let house = House::open().await;
    let (_, first) = pushed(&house).await;
    house.push_text("other", "another").await;
    let second = house
        .files("artifacts")
        .into_iter()
        .find(|path| *path != first)
        .unwrap();
    fs::copy(&second, &first).unwrap();
    assert!(loads(&house.beside().await).await);
    assert_eq!(house.compilations(), 3);
}

#[tokio::test]
async fn sealed_code_that_does_not_fit_the_engine_is_compiled_again() {
    let house = House::open().await;
    let (bytes, artifact) = pushed(&house).await;
    let sealer = Sealer::open(house.path(), &celeriac_sandbox::compatibility()).unwrap();
    let code = b"\x7fELF of an older engine";
    let mut sealed = sealer.seal(Digest::of(&bytes), code).to_vec();
    sealed.extend_from_slice(code);
    fs::write(&artifact, sealed).unwrap();
    assert!(loads(&house.beside().await).await);
    assert_eq!(house.compilations(), 2);
}

#[tokio::test]
async fn an_artifact_that_is_missing_is_compiled_once_for_all_who_ask() {
    let house = House::open().await;
    let (_, artifact) = pushed(&house).await;
    fs::remove_file(&artifact).unwrap();
    let other = house.beside().await;
    let resolver = other.registry.resolver("w").await.unwrap();
    let task = "images.run".parse().unwrap();
    let us = us();
    let all = futures::future::join_all((0..8).map(|_| resolver.resolve(&us, &task))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(house.compilations(), 2);
    assert!(artifact.exists());
}

#[tokio::test]
async fn processes_that_miss_the_same_artifact_take_turns_and_compile_it_once() {
    let house = House::open().await;
    let (_, artifact) = pushed(&house).await;
    fs::remove_file(&artifact).unwrap();
    let (first, second) = (house.beside().await, house.beside().await);
    let (one, other) = tokio::join!(loads(&first), loads(&second));
    assert!(one && other);
    assert_eq!(house.compilations(), 2);
}

#[tokio::test]
async fn a_damaged_component_is_told_and_a_push_heals_it() {
    let house = House::open().await;
    let (bytes, artifact) = pushed(&house).await;
    fs::remove_file(&artifact).unwrap();
    let component = house.files("components").remove(0);
    fs::write(&component, &bytes[..bytes.len() / 2]).unwrap();
    let other = house.beside().await;
    let resolver = other.registry.resolver("w").await.unwrap();
    let task = "images.run".parse().unwrap();
    let error = resolver.resolve(&us(), &task).await.unwrap_err();
    assert!(matches!(error, RegistryError::Damaged { .. }), "{error}");
    assert!(
        house
            .beside()
            .await
            .push("images", &bytes)
            .await
            .unwrap()
            .unchanged
    );
    assert!(resolver.resolve(&us(), &task).await.is_ok());
}

/// What becomes of a stored artifact: `None` where its seal is not ours, else what the engine
/// makes of it.
fn opened(house: &House, digest: Digest, sealed: &[u8]) -> Option<Result<Component, SandboxError>> {
    let settings = EngineSettings {
        pooling: Pooling::Never,
        ..EngineSettings::default()
    };
    let engine = Engine::new(&settings).unwrap();
    let sealer = Sealer::open(house.path(), &celeriac_sandbox::compatibility()).unwrap();
    let code = sealer.open_sealed(digest, sealed)?;
    Some(engine.load(code))
}

/// What the only task of a component says of itself.
async fn doc(component: &Component) -> String {
    component.describe().await.unwrap().remove(0).doc
}

#[tokio::test]
async fn without_its_seal_an_artifact_that_somebody_changed_is_loaded_and_runs() {
    let house = House::open().await;
    let bytes = component(&["run"], "honest words");
    house.push("images", &bytes).await.unwrap();
    let (digest, good) = (
        Digest::of(&bytes),
        fs::read(&house.files("artifacts")[0]).unwrap(),
    );
    let place = |word: &[u8]| good.windows(word.len()).position(|window| window == word);
    let mut changed = good.clone();
    let at = place(b"honest").unwrap();
    changed[at..at + 6].copy_from_slice(b"wicked");

    let loaded = opened(&house, digest, &good).unwrap().unwrap();
    assert_eq!(doc(&loaded).await, "honest words");
    assert!(opened(&house, digest, &changed).is_none());
    let _away = without(&[Defence::Seal]);
    let loaded = opened(&house, digest, &changed).unwrap().unwrap();
    assert_eq!(doc(&loaded).await, "wicked words");
}

#[tokio::test]
async fn without_its_seal_the_code_of_another_component_is_taken_for_this_one() {
    let house = House::open().await;
    let (bytes, first) = pushed(&house).await;
    let digest = Digest::of(&bytes);
    house.push_text("other", "another").await;
    let mut artifacts = house.files("artifacts").into_iter();
    let other = fs::read(artifacts.find(|path| *path != first).unwrap()).unwrap();
    assert!(opened(&house, digest, &other).is_none());
    let _away = without(&[Defence::Seal]);
    let loaded = opened(&house, digest, &other).unwrap().unwrap();
    assert_eq!(doc(&loaded).await, "another");
}

#[tokio::test]
async fn without_its_seal_only_what_is_no_code_of_this_engine_is_refused_by_it() {
    let house = House::open().await;
    let (bytes, artifact) = pushed(&house).await;
    let digest = Digest::of(&bytes);
    let good = fs::read(&artifact).unwrap();
    let _away = without(&[Defence::Seal]);
    for code in [
        &b"\x7fELF of an older engine"[..],
        b"",
        &good[32..good.len() / 2],
    ] {
        let sealed = [&[0; 32], code].concat();
        let refused = opened(&house, digest, &sealed).unwrap();
        assert!(
            matches!(refused, Err(SandboxError::Incompatible { .. })),
            "{refused:?}"
        );
    }
    // Shorter than a seal it is nothing at all.
    assert!(opened(&house, digest, &good[..31]).is_none());
}
