//! The stores of a configuration.

mod pages;

use super::*;
use crate::config::RawConfig;
use std::path::Path;
use tempfile::TempDir;

async fn app(more: &str) -> (App, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let more = more.replace("FOLDER", &folder.path().to_string_lossy());
    let mut raw = RawConfig::default();
    raw.read_text(
        Path::new("celeriac.toml"),
        &format!("data = {data:?}\n{more}"),
    )
    .unwrap();
    let (config, _) = Config::check(raw).unwrap();
    (App::open(config, Clock::System).await.unwrap(), folder)
}

#[tokio::test]
async fn stores_in_one_folder_share_one_open_file() {
    let (one, _folder) = app("").await;
    assert_eq!(one.files.open_files(), 1);
    one.close().await;
    let (two, _folder) = app(
        "broker = \"sqlite://FOLDER/data/../data\"\nresult_backend = \"sqlite://FOLDER/other\"\n",
    )
    .await;
    assert_eq!(two.files.open_files(), 2);
    two.close().await;
}
